import { formatDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { Json, JsonObject } from '../base/json.ts';
import { isSevere, type Task } from '../task/task.ts';
import { withinActLimit } from './act-limit.ts';
import { askBlockers, askRemember, type Tried, verifyCluster } from './ask.ts';
import { failAct, failQuestion } from './failures.ts';
import { findGuard } from './guard.ts';
import { forgetHold, recordHold } from './holds.ts';
import type { Completed, Halt, LockAnswer } from './leases.ts';
import { understandThrown } from './thrown.ts';
import { askPerson, lockPollMs, timeLimitPassed, waitForActLock, waitOn, waitWhileHalted } from './waits.ts';
import { actContext, type Job } from './workshop.ts';

/** What came of trying to act: it was done, or the step is over or waits and this claim has ended. */
export type Acted = { readonly output: Json | undefined } | { readonly ended: Completed | undefined };

/** Act once, if nothing speaks against it: lock, blockers, memory, the record that it begins, then the act. */
export async function act(job: Job): Promise<Acted> {
  const { shop, step, task, grant, observed } = job;
  const timedOut = timeLimitPassed(job, observed);
  if (timedOut && step.timeout?.outcome === 'ask') {
    const question = `${timedOut} and has not been done: approve to go on, or skip the step, or abort the run`;
    return { ended: await askPerson(job, { reason: timedOut, question, observed }) };
  }
  if (step.locks && step.locks.length > 0) {
    const locks = await shop.store.takeLocks(grant, step.locks);
    if (!locks.held) return { ended: await waitForLocks(job, locks) };
  }
  // held from its blockers until its effect was read back
  if (isSevere(task)) {
    const lock = await shop.store.takeActLock(grant, job.plan.fsid);
    if (!lock.held) return { ended: await waitForActLock(job, lock.holder) };
  }
  const stopped = (await findObstacle(job)) ?? undefined;
  if (stopped) return stopped;
  const remembered = await rememberOnce(job);
  if ('error' in remembered) return { ended: await failQuestion(job, remembered.error) };
  const early = await askRate(job);
  if (early) return early;
  await recordHold(job);
  const refused = await recordIntent(job);
  if (refused) return refused;
  return carryOutAct(job, remembered.value);
}

function waitForLocks(job: Job, { name, holder }: LockAnswer & { held: false }) {
  const of = holder?.step === undefined ? '' : `step ${holder.step} of `;
  const by = holder ? `: ${of}run ${holder.run} holds it` : '';
  return waitOn(job, { reason: `waits for lock ${name}${by}`, observed: job.observed, askInMs: lockPollMs });
}

async function findObstacle(job: Job): Promise<Acted | undefined> {
  const sameCluster = await verifyCluster(job, { isSevere: isSevere(job.task) });
  if ('error' in sameCluster) return { ended: await failQuestion(job, sameCluster.error) };
  const guarded = await findGuard(job);
  if ('error' in guarded) return { ended: await failQuestion(job, guarded.error) };
  if (guarded.value) return { ended: await waitOn(job, { ...guarded.value, observed: job.observed }) };
  const blockers = await askBlockers(job);
  if ('error' in blockers) return { ended: await failQuestion(job, blockers.error) };
  if (blockers.value.length === 0) return undefined;
  return { ended: await waitOn(job, { reason: blockers.value.join('; '), observed: job.observed }) };
}

/** Leave to act is asked for last: what then may not act has used it up for nothing. */
async function askRate(job: Job): Promise<Acted | undefined> {
  const { rate } = job.step;
  if (!rate) return undefined;
  const waitMs = await job.shop.store.askRate(job.grant, rate);
  if (waitMs === 'lost') return { ended: undefined };
  if (waitMs === 0) return undefined;
  const reason = `at most ${rate.most} acts in ${formatDuration(rate.perMs)} (rate ${rate.name})`;
  return { ended: await waitOn(job, { reason, observed: job.observed, askInMs: waitMs }) };
}

async function rememberOnce(job: Job): Promise<Tried<Json | undefined>> {
  const { grant, shop, task } = job;
  if (grant.remembered !== undefined || !task.remember) return { value: grant.remembered };
  const said = await askRemember(job);
  if ('error' in said || said.value === undefined) return said;
  // `lost`: acting() right after this says so too, before anything is done
  return { value: await shop.store.remember(grant, said.value) };
}

/** A Redis that is replaced again and again while an act is about to begin is not one to rely on. */
const recordTries = 3;

/**
 * Write down that the act begins; an act that destroys waits until that record cannot be lost. A Redis that went away
 * in between may have lost it before anything was confirmed: then it is written and confirmed anew.
 */
async function recordIntent(job: Job): Promise<Acted | undefined> {
  const { store } = job.shop;
  const mustLast = job.task.risk === 'destroys-data';
  let server = mustLast && (await store.confirmDurable());
  if (mustLast && !server) return refuseToDestroy(job);
  for (let left = recordTries; left > 0; left -= 1) {
    const begun = await store.acting(job.grant);
    if (begun === 'lost') return { ended: undefined };
    if (begun !== 'accepted') return haltedBefore(job, begun);
    if (!mustLast) return undefined;
    const confirmedBy = await store.confirmDurable();
    if (confirmedBy === false) break;
    if (confirmedBy === server) return undefined;
    server = confirmedBy;
  }
  return refuseToDestroy(job);
}

/** Nothing may begin in the run: wait until it goes on, or end unbegun where it will not. */
async function haltedBefore(job: Job, halt: Halt): Promise<Acted> {
  await forgetHold(job);
  if (halt === 'frozen' || halt === 'paused' || halt === 'planned') {
    return { ended: await waitWhileHalted(job, halt) };
  }
  return endedUnbegun(job, halt === 'undoing' ? 'undone' : 'aborted');
}

async function endedUnbegun(job: Job, fate: string): Promise<Acted> {
  const reason = `the run is being ${fate}`;
  return { ended: await job.shop.store.complete(job.grant, { state: 'skipped', acted: false, reason }) };
}

async function refuseToDestroy(job: Job): Promise<Acted> {
  const error = new CephflowError(
    'REDIS_UNSUITABLE',
    `${job.step.id} destroys data, and this Redis cannot promise to remember that it began`,
    {
      hint: 'set `appendfsync always` in Redis, or use Redis 7.2 or later with appendonly on; then retry the step',
    },
  );
  return { ended: await failAct(job, error, { mayHaveActed: false }) };
}

async function carryOutAct(job: Job, remembered: Json | undefined): Promise<Acted> {
  const tried = await tryAct(job, remembered);
  job.cluster.forget();
  if ('error' in tried) return { ended: await failAct(job, tried.error) };
  // without `done` its end is recorded at once: nothing is left to be read back
  if (!job.task.done) return { output: tried.value };
  const written = await job.shop.store.acted(job.grant, tried.value);
  return written === 'lost' ? { ended: undefined } : { output: tried.value };
}

/** Give the longest time that an attempt of a step may take. */
export function limitOf({ task, step }: Pick<Job, 'task' | 'step'>) {
  return {
    ...(task.limit !== undefined && { limit: task.limit }),
    ...(step.limitMs !== undefined && { limitMs: step.limitMs }),
  };
}

async function tryAct(job: Job, remembered: Json | undefined): Promise<Tried<Json | undefined>> {
  const { task, values } = job;
  try {
    const returned = await withinActLimit(limitOf(job), job.signal, async (signal) =>
      task.run?.(values, actContext(job, signal, remembered)),
    );
    return { value: readOutput(task, returned) };
  } catch (thrown) {
    return { error: understandThrown(thrown) };
  }
}

/** Outputs stand in Redis and in every snapshot: they are for values, not for listings. */
const longestOutput = 65_536;

function readOutput(task: Task, returned: unknown): Json | undefined {
  const names = Object.keys(task.output ?? {});
  if (returned === undefined && names.length === 0) return undefined;
  const text = JSON.stringify(returned ?? null);
  const value = JSON.parse(text) as Json;
  const missing = names.filter((name) => (value as JsonObject | null)?.[name] === undefined);
  if (missing.length > 0)
    throw badOutput(task, `it does not hold ${missing.join(', ')}, which the task declares`);
  if (text.length > longestOutput) throw badOutput(task, `it is longer than ${longestOutput} characters`);
  return value;
}

function badOutput(task: Task, fault: string): CephflowError {
  return new CephflowError('TASK_INVALID', `task ${task.name} has run, but its output is wrong: ${fault}`, {
    hint: 'mend the task; then make a new plan, or skip the step',
  });
}
