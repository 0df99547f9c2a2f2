import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { isSevere, limitOf } from './act.ts';
import { withinActLimit } from './act-limit.ts';
import { verifyCluster } from './ask.ts';
import { fail, failAct, failQuestion } from './failures.ts';
import type { Completed } from './leases.ts';
import { understandThrown } from './thrown.ts';
import { askPerson, waitOn } from './waits.ts';
import { actContext, claimNext, type Job } from './workshop.ts';

/** The lock is given to a waiter when it is released; asked again so often in case that word was lost. */
const lockPollMs = 15_000;

/**
 * Take back what a step has done: with what it remembered before it acted. Undoing twice is harmless, since it says what
 * was before; only one that stops a service or destroys data is not repeated on a guess.
 */
export async function undoStep(job: Job): Promise<Completed | undefined> {
  const { grant, shop, task, step, observed, verdict } = job;
  const { undo } = task;
  if (!undo) {
    const what = `${task.name} has no way back: ${step.title}`;
    return fail(
      job,
      new CephflowError('UNDO_REFUSED', what, { hint: 'skip the step, or abort the run' }),
      false,
    );
  }
  if (verdict === 'rejected') {
    return fail(job, new CephflowError('REJECTED', `${grant.decision?.by} rejected ${step.id}`), true);
  }
  const sameCluster = await verifyCluster(job, { isSevere: isSevere(task) });
  if ('error' in sameCluster) return failQuestion(job, sameCluster.error);
  if (grant.mode === 'verify' && isSevere(task) && verdict !== 'approved') {
    const reason = `${step.id} was begun and its end is not known`;
    const question = `${reason}. Look at the cluster; then approve to do it again, or skip the step if it is done`;
    return askPerson(job, { reason, question, about: 'act', observed, mayHaveActed: true });
  }
  if (isSevere(task)) {
    const lock = await shop.store.takeActLock(grant, job.plan.fsid);
    if (!lock.held) {
      const reason = 'another step that stops or destroys is under way in this cluster';
      return waitOn(job, { reason, observed, askInMs: lockPollMs });
    }
  }
  const begun = await shop.store.acting(grant, step.undoes);
  if (begun === 'lost') return undefined;
  if (begun !== 'accepted') {
    const reason = `the run is ${begun}: nothing is begun`;
    return waitOn(job, { reason, observed, askInMs: begun === 'frozen' ? lockPollMs : null });
  }
  return carryOutUndo(job, await rememberedBy(job));
}

async function rememberedBy({ shop, grant, step }: Job): Promise<Json | undefined> {
  return step.undoes === undefined ? undefined : shop.store.remembered(grant.run, step.undoes);
}

async function carryOutUndo(job: Job, remembered: Json | undefined): Promise<Completed | undefined> {
  const { task, values, signal, shop, grant, step } = job;
  try {
    await withinActLimit(limitOf(job), signal, async (limited) =>
      task.undo?.(values, actContext(job, limited, remembered)),
    );
  } catch (thrown) {
    return failAct(job, understandThrown(thrown));
  } finally {
    job.cluster.forget();
  }
  return shop.store.complete(grant, {
    state: 'succeeded',
    acted: true,
    ...(step.undoes !== undefined && { undone: step.undoes }),
    ...claimNext(job),
  });
}
