import { parseDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { Json, JsonObject } from '../base/json.ts';
import type { Task } from '../task/task.ts';
import { abortedBy, askBlockers, askRemember, type Tried, verifyCluster } from './ask.ts';
import { failAct, failQuestion } from './failures.ts';
import { forgetHold, recordHold } from './holds.ts';
import type { Completed } from './store.ts';
import { understandThrown } from './thrown.ts';
import { askPerson, timeLimitPassed, waitOn } from './waits.ts';
import { actContext, type Job } from './workshop.ts';

/** A step that stops or destroys holds the cluster's act lock from its blockers until its effect was read back. */
export function isSevere({ risk }: Pick<Task, 'risk'>): boolean {
  return risk === 'stops-service' || risk === 'destroys-data';
}

/** What came of trying to act: it was done, or the step is over or waits and this claim has ended. */
export type Acted = { readonly output: Json | undefined } | { readonly ended: Completed | undefined };

/** The lock is given to a waiter when it is released; asked again so often in case that word was lost. */
const lockPollMs = 15_000;

/** Act once, if nothing speaks against it: lock, blockers, memory, the record that it begins, then the act. */
export async function act(job: Job): Promise<Acted> {
  const { shop, step, task, grant, observed } = job;
  const timedOut = timeLimitPassed(job, observed);
  if (timedOut && step.timeout?.outcome === 'ask') {
    const question = `${timedOut} and has not been done: approve to go on, or skip the step, or abort the run`;
    return { ended: await askPerson(job, { reason: timedOut, question, observed }) };
  }
  if (isSevere(task)) {
    const lock = await shop.store.takeActLock(grant, job.plan.fsid);
    if (!lock.held) return { ended: await waitForLock(job, lock.holder) };
  }
  const stopped = (await findObstacle(job)) ?? undefined;
  if (stopped) return stopped;
  const remembered = await rememberOnce(job);
  if ('error' in remembered) return { ended: await failQuestion(job, remembered.error) };
  await recordHold(job);
  const refused = await recordIntent(job);
  if (refused) return refused;
  return carryOutAct(job, remembered.value);
}

function waitForLock(job: Job, holder: { run: string; step: number } | undefined) {
  const by = holder ? ` (step ${holder.step} of run ${holder.run})` : '';
  return waitOn(job, {
    reason: `another step that stops or destroys is under way in this cluster${by}`,
    observed: job.observed,
    askInMs: lockPollMs,
  });
}

async function findObstacle(job: Job): Promise<Acted | undefined> {
  const sameCluster = await verifyCluster(job, { shared: false });
  if ('error' in sameCluster) return { ended: await failQuestion(job, sameCluster.error) };
  const blockers = await askBlockers(job);
  if ('error' in blockers) return { ended: await failQuestion(job, blockers.error) };
  if (blockers.value.length === 0) return undefined;
  return { ended: await waitOn(job, { reason: blockers.value.join('; '), observed: job.observed }) };
}

async function rememberOnce(job: Job): Promise<Tried<Json | undefined>> {
  const { grant, shop, task } = job;
  if (grant.remembered !== undefined || !task.remember) return { value: grant.remembered };
  const said = await askRemember(job);
  if ('error' in said || said.value === undefined) return said;
  // `lost`: acting() right after this says so too, before anything is done
  return { value: await shop.store.remember(grant, said.value) };
}

/** Write down that the act begins; an act that destroys waits until that record cannot be lost. */
async function recordIntent(job: Job): Promise<Acted | undefined> {
  const { store } = job.shop;
  const begun = await store.acting(job.grant);
  if (begun === 'lost') return { ended: undefined };
  if (begun === 'refused') {
    await forgetHold(job);
    const reason = 'the run is being aborted';
    return { ended: await store.complete(job.grant, { state: 'skipped', acted: false, reason }) };
  }
  if (job.task.risk !== 'destroys-data' || (await store.confirmDurable())) return undefined;
  const error = new CephflowError(
    'REDIS_UNSUITABLE',
    `${job.step.id} destroys data, and this Redis cannot promise to remember that it began`,
    {
      hint: 'set `appendfsync always` in Redis, or use Redis 7.2 or later with appendonly on; then retry the step',
    },
  );
  return { ended: await failAct(job, error, { mayHaveActed: false }) };
}

/** Longest an act may take where its task sets no limit. */
const usualLimitMs = 600_000;
/** An act that was told to end gets so long to do it before it is left behind. */
const endGraceMs = 10_000;

async function carryOutAct(job: Job, remembered: Json | undefined): Promise<Acted> {
  const { task, shop } = job;
  const limitMs = task.limit === undefined ? usualLimitMs : (parseDuration(task.limit) ?? usualLimitMs);
  const limit = new AbortController();
  const timer = setTimeout(() => {
    const what = `the act did not end within ${task.limit ?? '10m'} and was stopped`;
    limit.abort(new CephflowError('COMMAND_TIMED_OUT', what));
  }, limitMs);
  const signal = AbortSignal.any([job.signal, limit.signal]);
  const tried = await tryAct(job, signal, remembered);
  clearTimeout(timer);
  job.cluster.forget();
  if ('error' in tried) return { ended: await failAct(job, tried.error) };
  const written = await shop.store.acted(job.grant, tried.value);
  return written === 'lost' ? { ended: undefined } : { output: tried.value };
}

async function tryAct(
  job: Job,
  signal: AbortSignal,
  remembered: Json | undefined,
): Promise<Tried<Json | undefined>> {
  const { task, values } = job;
  try {
    if (signal.aborted) throw abortedBy(signal);
    const run = Promise.resolve(task.run?.(values, actContext(job, signal, remembered)));
    return { value: readOutput(task, await untilAborted(signal, run)) };
  } catch (thrown) {
    return { error: understandThrown(thrown) };
  }
}

/** Give the act's result; after the signal it has a short grace to end by itself. */
function untilAborted<T>(signal: AbortSignal, act: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const leave = () => {
      timer = setTimeout(() => reject(abortedBy(signal)), endGraceMs);
    };
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      end();
    };
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    act.then(
      (value) => settle(() => resolve(value)),
      // what a killed command says is less than why it was killed
      (error) => settle(() => reject(signal.aborted ? abortedBy(signal) : error)),
    );
  });
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
