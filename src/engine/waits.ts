import { formatDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { Progress } from '../task/task.ts';
import type { Completed, Halt, Parking } from './leases.ts';
import { breakRow, type Observed, stalledSince, withNodes } from './settle.ts';
import { type Claimed, clockFrom, type Job, pollMsOf, recordError } from './workshop.ts';

/** Say how a step goes on waiting. `askInMs`: absent, at its own pace; null, only when a person answers. */
export interface Wait {
  readonly reason: string;
  readonly observed: Observed;
  readonly progress?: Progress;
  readonly question?: string;
  /** What the engine's own question is about; absent: whether to go on waiting. */
  readonly about?: string;
  readonly askInMs?: number | null;
  /** A stall is of what moves by itself; a blocker or an unreachable system is none. */
  readonly mayStall?: boolean;
  /** The act has begun, or may have. */
  readonly mayHaveActed?: boolean;
}

/** Let a question to a person be looked at again now and then: what was asked about may have come right by itself. */
const reminderMs = 600_000;

/**
 * Give up the slot and wait, unless the step's time limit says that it has failed. A limit that asks, and a stall, are
 * said aloud as a question while the step goes on waiting.
 */
export async function waitOn(job: Job, wait: Wait): Promise<Completed | undefined> {
  const timedOut = timeLimitPassed(job, wait.observed);
  if (timedOut && job.step.timeout?.outcome === 'fail') return failForTime(job, timedOut, wait);
  // the task's own question takes the place of one of the engine's
  if (wait.question !== undefined) return park(job, { ...wait, observed: withoutAsking(wait.observed) });
  const question = (timedOut && `${timedOut}: ${goOn}`) ?? stallQuestion(job, wait);
  if (question === undefined) return park(job, wait);
  return park(job, { ...wait, question, observed: asking(job, wait) });
}

const goOn = 'approve to go on waiting as long again, or skip the step, or abort the run';

/** Ask a person before anything else is done; what was asked stays until it is answered. */
export async function askPerson(job: Job, wait: Wait & { readonly question: string }): Promise<undefined> {
  return park(job, { askInMs: reminderMs, ...wait, observed: asking(job, wait) });
}

/** A question is asked since now, unless this very one was being asked: an answer to another one is none to it. */
function asking(job: Job, { observed, about = 'going on' }: Wait): Observed {
  const isSame = observed.askedMs !== undefined && observed.askedAbout === about;
  return { ...observed, askedMs: isSame ? observed.askedMs : job.now(), askedAbout: about };
}

/** Forget that the engine asks something: what it asked is no longer the question. */
export function withoutAsking(observed: Observed): Observed {
  const { askedMs: _asked, askedAbout: _about, ...rest } = observed;
  return rest;
}

async function park(job: Job, wait: Wait): Promise<undefined> {
  const { reason, progress, question, observed } = wait;
  // a task's own question needs no polling: the answer wakes the step
  const usualMs = question !== undefined && observed.askedMs === undefined ? reminderMs : pollMsOf(job);
  const wishedMs = wait.askInMs === undefined ? usualMs : wait.askInMs;
  const askInMs = untilLimit(job, wishedMs);
  const parking: Parking = {
    untilMs: askInMs === null ? null : job.now() + askInMs,
    waiting: { reason, ...(progress && { progress }), ...(question !== undefined && { question }) },
    observed: withNodes(job.nodes, observed),
  };
  await job.shop.store.park(job.grant, parking);
  return undefined;
}

/** A step whose time runs out is looked at then, also where only an answer of a person is waited for. */
function untilLimit({ step, grant, now }: Job, askInMs: number | null): number | null {
  if (!step.timeout) return askInMs;
  const leftMs = grant.begunMs + step.timeout.afterMs - now();
  if (leftMs <= 0) return askInMs;
  return askInMs === null ? leftMs : Math.min(askInMs, leftMs);
}

/** Another worker may have what this one lacks, or an operator brings it: asked again so soon. */
const otherWorkerMs = 30_000;

/** Wait for a worker that can do it: this one cannot, and the step shows why. */
export async function waitForWorker({ grant, shop, lease }: Claimed, reason: string): Promise<undefined> {
  if (lease.isLost()) return undefined;
  await shop.store.park(grant, {
    untilMs: clockFrom(grant.nowMs)() + otherWorkerMs,
    waiting: { reason },
    ...(grant.observed !== undefined && { observed: grant.observed }),
  });
  return undefined;
}

/** Wait for a worker that has a task as it was when the plan was made. */
export function waitForTask(claimed: Claimed, name: string): Promise<undefined> {
  const pinned = claimed.run.plan.tasks[name]?.slice(0, 12) ?? 'unknown';
  return waitForWorker(claimed, `no worker has ${name}@${pinned}`);
}

/** A lock is given to a waiter when it is released; asked again so often in case that word was lost. */
export const lockPollMs = 15_000;

/** Wait for the cluster's act lock, which this step of a run holds. */
export function waitForActLock(
  job: Job,
  holder: { readonly run: string; readonly step: number } | undefined,
): Promise<Completed | undefined> {
  const by = holder ? ` (step ${holder.step} of run ${holder.run})` : '';
  const reason = `another step that stops or destroys is under way in this cluster${by}`;
  return waitOn(job, { reason, observed: job.observed, askInMs: lockPollMs });
}

/** A freeze ends without a word to whoever waits for it: asked again so often, an unfreeze is felt within this. */
export const frozenPollMs = 10_000;

/** Wait while nothing may begin: until the freeze is lifted, or until a person lets the run go on. */
export function waitWhileHalted(job: Job, halt: Halt): Promise<Completed | undefined> {
  const isFrozen = halt === 'frozen';
  const reason = isFrozen ? 'the cluster is frozen: nothing is begun' : `the run is ${halt}`;
  return waitOn(job, { reason, observed: job.observed, askInMs: isFrozen ? frozenPollMs : null });
}

/** Wait because a system that is asked does not answer: that must not fail a run that waits for days. */
export function waitForSystems(job: Job, error: CephflowError): Promise<Completed | undefined> {
  return waitOn(job, {
    reason: `${error.code}: ${error.message}`,
    observed: breakRow(job.observed),
    mayHaveActed: hasBegun(job),
  });
}

/**
 * Tell whether the act is begun or done and nobody has seen its effect: such a step keeps the cluster's act lock even
 * when it fails, until a person has looked.
 */
export function hasBegun({ grant }: Pick<Job, 'grant'>): boolean {
  return grant.mode !== 'act';
}

/** The words for a step whose time limit has passed; undefined while it has not, or has none. */
export function timeLimitPassed({ step, grant, now }: Job, observed: Observed): string | undefined {
  if (!step.timeout) return undefined;
  const sinceMs = Math.max(grant.begunMs, observed.calmMs ?? 0);
  if (now() - sinceMs < step.timeout.afterMs) return undefined;
  return `${step.id} has not finished within ${formatDuration(step.timeout.afterMs)}`;
}

function failForTime(job: Job, timedOut: string, wait: Wait): Promise<Completed> {
  const error = new CephflowError('STEP_TIMED_OUT', `${timedOut}: ${wait.reason}`, {
    hint: 'find out why it takes so long; then retry the step, skip it, or abort the run',
  });
  return job.shop.store.complete(job.grant, {
    state: 'failed',
    acted: job.grant.hasBegun,
    error: recordError(error),
    mayHaveActed: wait.mayHaveActed ?? false,
  });
}

function stallQuestion(job: Job, wait: Wait): string | undefined {
  const sinceMs = wait.mayStall ? stalledSince(wait.observed, job.task, job.now()) : undefined;
  if (sinceMs === undefined) return undefined;
  return `no progress for ${formatDuration(job.now() - sinceMs)} (${wait.reason}): ${goOn}`;
}
