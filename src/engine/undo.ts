import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { isSevere } from '../task/task.ts';
import { limitOf } from './act.ts';
import { withinActLimit } from './act-limit.ts';
import { verifyCluster } from './ask.ts';
import { fail, failAct, failQuestion } from './failures.ts';
import { findGuard } from './guard.ts';
import type { Completed } from './leases.ts';
import { waitForRunning } from './running.ts';
import { readObserved } from './settle.ts';
import { understandThrown } from './thrown.ts';
import { askPerson, waitForActLock, waitOn, waitWhileHalted } from './waits.ts';
import { actContext, claimNext, type Job } from './workshop.ts';

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
  const held = await findHindrance(job);
  if (held) return held.ended;
  if (grant.mode === 'verify' && isSevere(task) && verdict !== 'approved') {
    const reason = `${step.id} was begun and its end is not known`;
    const question = `${reason}. Look at the cluster; then approve to do it again, or mark the step as done if it is, or skip it to leave things as they are`;
    return askPerson(job, { reason, question, about: 'act', observed, mayHaveActed: true });
  }
  if (isSevere(task)) {
    const lock = await shop.store.takeActLock(grant, job.plan.fsid);
    if (!lock.held) return waitForActLock(job, lock.holder);
  }
  const begun = await shop.store.acting(grant, step.undoes);
  if (begun === 'lost') return undefined;
  if (begun !== 'accepted') return waitWhileHalted(job, begun);
  return carryOutUndo(job, await rememberedBy(job));
}

/** A freeze, another instance, or a command that still runs on a node. */
async function findHindrance(job: Job): Promise<{ readonly ended: Completed | undefined } | undefined> {
  const guarded = await findGuard(job);
  if ('error' in guarded) return { ended: await failQuestion(job, guarded.error) };
  if (guarded.value) return { ended: await waitOn(job, { ...guarded.value, observed: job.observed }) };
  return (await waitForRunning(job)) ?? waitForUndone(job);
}

/** Later than every turn of the act that is taken back: nothing of it that was sent may begin any more. */
const lastTurn = 2_147_483_647;
/** Commands on nodes take seconds to minutes: asked again so often whether one has ended. */
const runningPollMs = 5000;

/** What is taken back may have failed while its command went on on a node. */
async function waitForUndone(job: Job): Promise<{ readonly ended: Completed | undefined } | undefined> {
  const { grant, shop, step, cluster, facts, observed, signal } = job;
  if (step.undoes === undefined) return undefined;
  const { nodes = [] } = readObserved(await shop.store.observed(grant.run, step.undoes));
  const lock = { name: `${grant.run}/${facts.id}`, turn: lastTurn };
  try {
    for (const node of nodes) {
      const holder = await cluster.systems.findRunning(node, lock, signal);
      if (!holder) continue;
      const reason = `the command that ${facts.id} began on ${node} still runs there (lock ${holder.file})`;
      return { ended: await waitOn(job, { reason, observed, askInMs: runningPollMs }) };
    }
    return undefined;
  } catch (thrown) {
    return { ended: await failQuestion(job, understandThrown(thrown)) };
  }
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
