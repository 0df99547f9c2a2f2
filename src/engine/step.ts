import { formatDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Answer } from '../task/task.ts';
import { isSevere } from '../task/task.ts';
import { act } from './act.ts';
import { askDone, verifyCluster } from './ask.ts';
import { fail, failQuestion } from './failures.ts';
import { adoptHold } from './holds.ts';
import type { Completed, Outcome } from './leases.ts';
import { waitForRunning } from './running.ts';
import { type Standing, weigh } from './settle.ts';
import { askPerson, hasBegun, waitOn, withoutAsking } from './waits.ts';
import { claimNext, type Job } from './workshop.ts';

/**
 * Carry out one delivery of a step of a task: ask, and act at most once. It ends in the store: completed, parked, or
 * to be tried again.
 * @returns what completing it brought about; undefined when it waits or its lease was lost
 * @see DESIGN sections 4 and 6
 */
export async function doStep(job: Job): Promise<Completed | undefined> {
  const { grant, step, observed } = job;
  if (job.verdict === 'rejected') return rejected(job);
  const startsMs = grant.begunMs + (step.delayMs ?? 0);
  if (grant.mode === 'act' && job.now() < startsMs) {
    const reason = `starts ${formatDuration(step.delayMs ?? 0)} after it became ready`;
    return waitOn(job, { reason, observed, askInMs: startsMs - job.now() });
  }
  const sameCluster = await verifyCluster(job, { isSevere: false });
  if ('error' in sameCluster) return failQuestion(job, sameCluster.error);
  const running = await waitForRunning(job);
  if (running) return running.ended;
  const done = await askDone(job, { shared: maybeShared(job) });
  if ('error' in done) return failQuestion(job, done.error);
  if (grant.mode === 'verify') return verify(job, done.value);
  if (grant.mode === 'read-back') return readBack(job, done.value, grant.output);
  if (done.value === undefined) return actAndReadBack(job);
  const standing = weigh(done.value, observed, job.task, job.now());
  if (standing.isDone) return succeed(job, { acted: false });
  // a good answer that has not settled is no reason to act
  if (job.task.run && done.value !== true) return actAndReadBack(job);
  return keepWaiting(job, standing);
}

/**
 * Polls of a wait may share answers that are two seconds old. Whatever is followed by an act, or follows one in the same
 * breath, may not; nor the first look of a wait, since the step before it may have acted just now.
 */
function maybeShared({ grant, task }: Job): boolean {
  const isPoll = grant.observed !== undefined && grant.mode !== 'verify';
  return isPoll && (!task.run || grant.mode === 'read-back');
}

async function actAndReadBack(job: Job): Promise<Completed | undefined> {
  const acted = await act(job);
  if ('ended' in acted) return acted.ended;
  if (!job.task.done) return readBack(job, undefined, acted.output);
  // the act is recorded as done, and what was asked before it is no question any more: the next delivery only asks
  const { nodes: _ended, ...observed } = withoutAsking(job.observed);
  const after: Job = { ...job, observed, nodes: new Set(), grant: { ...job.grant, mode: 'read-back' } };
  const done = await askDone(after, { shared: false });
  if ('error' in done) return failQuestion(after, done.error);
  return readBack(after, done.value, acted.output);
}

/** After the act: wait until it has taken effect, and never act again. */
function readBack(
  job: Job,
  answer: Answer | undefined,
  output: Json | undefined,
): Promise<Completed | undefined> {
  const result = { acted: true, ...(output !== undefined && output !== null && { output }) };
  if (answer === undefined) return succeed(job, result);
  const standing = weigh(answer, job.observed, job.task, job.now());
  return standing.isDone ? succeed(job, result) : keepWaiting(job, standing);
}

/** The act was begun and nobody knows how it ended: adopt it, ask a person, or try again. */
async function verify(job: Job, answer: Answer | undefined): Promise<Completed | undefined> {
  const { task, shop, grant, observed, verdict } = job;
  if (answer === true) {
    const standing = weigh(answer, observed, task, job.now());
    if (!standing.isDone) return keepWaiting(job, standing);
    await adoptHold(job);
    return succeed(job, { acted: true, ...(grant.output !== undefined && { output: grant.output }) });
  }
  const mayRepeat = answer === undefined ? task.risk === 'changes' : !isSevere(task);
  const isApproved = verdict === 'approved' && observed.askedAbout === 'act';
  if (!isApproved && (!mayRepeat || observed.mustAnswer !== undefined)) {
    return askAboutUnknown(job, answer);
  }
  if ((await shop.store.verified(grant)) === 'lost') return undefined;
  return actAndReadBack({ ...job, grant: { ...grant, mode: 'act' } });
}

function askAboutUnknown(job: Job, answer: Answer | undefined): Promise<undefined> {
  const { step, observed } = job;
  const seen =
    answer === undefined || answer === true
      ? 'nobody can be asked whether it happened'
      : `by now it has not: ${answer.waitingFor}`;
  const reason = `the act of ${step.id} was begun and its end is not known; ${seen}`;
  const usual = `${reason}. Look at the cluster; then approve to do it again, or mark the step as done if it is, or abort the run`;
  const question = observed.mustAnswer ?? usual;
  return askPerson(job, { reason, question, about: 'act', observed, mayHaveActed: true });
}

function rejected(job: Job): Promise<Completed> {
  const { decision } = job.grant;
  const why = decision?.comment ? `: ${decision.comment}` : '';
  const error = new CephflowError('REJECTED', `${decision?.by} rejected going on with ${job.step.id}${why}`, {
    hint: 'retry the step to ask again, or skip it, or abort the run',
  });
  return fail(job, error, hasBegun(job));
}

function keepWaiting(job: Job, standing: Standing & { isDone: false }): Promise<Completed | undefined> {
  const { isDone: _not, ...wait } = standing;
  return waitOn(job, { ...wait, mayStall: true, mayHaveActed: hasBegun(job) });
}

function succeed(job: Job, result: Pick<Outcome, 'acted' | 'output'>): Promise<Completed> {
  return job.shop.store.complete(job.grant, { state: 'succeeded', ...result, ...claimNext(job) });
}
