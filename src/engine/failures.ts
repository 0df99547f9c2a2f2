import type { CephflowError, ErrorCode } from '../base/errors.ts';
import type { StepRetry } from '../plan/plan.ts';
import { forgetHold } from './holds.ts';
import type { Completed } from './leases.ts';
import { breakRow, withNodes } from './settle.ts';
import { askPerson, hasBegun, waitForSystems, withoutAsking } from './waits.ts';
import { type Job, recordError } from './workshop.ts';

/** Tries of an act whose step and task say nothing: a hiccup is over by then, a fault is not. */
const usualRetry: StepRetry = { attempts: 3, delayMs: 10_000 };
/** Longest pause between two tries: an operator who has mended the cause does not wait longer than this. */
const usualLongestMs = 600_000;

/** Errors that say that the command itself was not carried out. */
const refusals: readonly ErrorCode[] = [
  'CEPH_REFUSED',
  'CEPH_NOT_PERMITTED',
  'CLUSTER_MISMATCH',
  'NOT_CONFIGURED',
  'NOT_READ_ONLY',
  'OSD_IDENTITY',
  'PROGRAM_MISSING',
  'REJECTED',
  'SSH_HOST_KEY',
  'SSH_REFUSED',
];

/** Go on after a question (`done`, `blockers`, `remember`, the fsid) could not be answered. */
export function failQuestion(job: Job, error: CephflowError): Promise<Completed | undefined> {
  if (job.signal.aborted) return leaveToOthers(job);
  if (error.disposition === 'retry') return waitForSystems(job, error);
  if (error.disposition === 'pause') return pause(job, error);
  return fail(job, error, hasBegun(job));
}

/**
 * Go on after an act failed. Whether it happened all the same is not known, unless the error says that the command was
 * refused: the next try then begins with finding out.
 */
export async function failAct(
  job: Job,
  error: CephflowError,
  known: { mayHaveActed?: boolean } = {},
): Promise<Completed | undefined> {
  const mayHaveActed = known.mayHaveActed ?? !refusals.includes(error.code);
  const { grant, shop } = job;
  if (error.disposition === 'pause') return pause(job, error, { beforeActing: true });
  const { attempts, delayMs, longestDelayMs = usualLongestMs, on } = job.step.retry ?? usualRetry;
  const isLast = grant.retries + 1 >= attempts;
  const mayRetry = error.disposition === 'retry' || (on?.includes(error.code) ?? false);
  const isExcluded = on !== undefined && !on.includes(error.code) && !job.signal.aborted;
  if (!mayRetry || isExcluded || (isLast && !job.signal.aborted)) return fail(job, error, mayHaveActed);
  if (!mayHaveActed) await forgetHold(job);
  const backoffMs = Math.min(longestDelayMs, delayMs * 2 ** grant.retries);
  const spreadMs = backoffMs * (0.8 + 0.4 * shop.random());
  await shop.store.retryLater(grant, {
    delayMs: job.signal.aborted ? 0 : Math.round(spreadMs),
    error: recordError(error),
    mayHaveActed,
  });
  return undefined;
}

/** Fail the step; its run then waits for a person. */
export async function fail(job: Job, error: CephflowError, mayHaveActed: boolean): Promise<Completed> {
  if (!mayHaveActed && job.grant.mode === 'act') await forgetHold(job);
  return job.shop.store.complete(job.grant, {
    state: 'failed',
    acted: job.grant.hasBegun,
    error: recordError(error),
    mayHaveActed,
    ...(job.step.undoes !== undefined && { undone: job.step.undoes }),
  });
}

function pause(job: Job, error: CephflowError, { beforeActing = false } = {}): Promise<undefined> {
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  const question = `${error.message}${hint}: approve to try again, or skip the step, or abort the run`;
  return askPerson(job, {
    reason: `${error.code}: ${error.message}`,
    question,
    about: beforeActing ? 'act' : error.code,
    observed: beforeActing
      ? { ...withoutAsking(breakRow(job.observed)), mustAnswer: question }
      : breakRow(job.observed),
  });
}

/** This worker stops in the middle of a question: nothing was done, another worker may ask at once. */
async function leaveToOthers(job: Job): Promise<undefined> {
  await job.shop.store.park(job.grant, {
    untilMs: job.now(),
    waiting: { reason: `worker ${job.shop.name} has stopped; another one goes on` },
    observed: withNodes(job.nodes, job.observed),
  });
  return undefined;
}
