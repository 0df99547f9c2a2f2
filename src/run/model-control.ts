import { cancel, close, end, giveBackPlaces, isFinally, isOver, makeReady } from './model-flow.ts';
import type { Model, ModelStep } from './model-state.ts';
import { isEndedRun, isEndedStep } from './states.ts';

/** Ask a waiting step at once. */
export function wake(model: Model, index: number): string {
  const step = model.steps[index];
  if (isEndedRun(model.state) || step?.state !== 'waiting') return 'false';
  makeReady(step);
  return 'true';
}

/** Cancel what has not begun. */
export function abort(model: Model): string {
  if (isEndedRun(model.state) || model.state === 'aborting') return 'refused';
  model.state = 'aborting';
  for (const [index, { state, isActing }] of model.steps.entries()) {
    const isIdle = state === 'pending' || ((state === 'ready' || state === 'waiting') && !isActing);
    if (isIdle && !isFinally(model, index)) cancel(model, index);
    else if (state === 'failed') giveBackPlaces(model, index);
  }
  return 'ok';
}

/** Try one step again. */
export function retry(model: Model, index: number): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state) || model.state === 'aborting') return 'refused';
  if (step.state === 'waiting') makeReady(step);
  else if (step.state === 'failed' && !isFinally(model, index)) retryFailed(step);
  else return 'refused';
  return 'ok';
}

/** Try all failed steps again. */
export function retryAll(model: Model): string {
  if (isEndedRun(model.state) || model.state === 'aborting') return 'refused';
  const failed = model.steps.filter(({ state }, index) => state === 'failed' && !isFinally(model, index));
  for (const step of failed) retryFailed(step);
  return failed.length > 0 ? 'ok' : 'refused';
}

function retryFailed(step: ModelStep): void {
  Object.assign(step, { attempt: step.attempt + 1, retries: 0, hasActed: false, hasBegun: false });
  makeReady(step);
}

/** Go on without a step. */
export function skip(model: Model, index: number, state: 'skipped' | 'succeeded' = 'skipped'): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state)) return 'refused';
  const isFailed = step.state === 'failed' && model.state !== 'aborting' && !isFinally(model, index);
  if (!isFailed && !['ready', 'waiting', 'unknown'].includes(step.state)) return 'refused';
  close(step, state);
  end(model, index);
  return 'ok';
}

/** Say that a step is done. */
export function markDone(model: Model, index: number): string {
  return skip(model, index, 'succeeded');
}

/** Say that a step has failed. */
export function markFailed(model: Model, index: number): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state) || isFinally(model, index)) return 'refused';
  if (!['ready', 'waiting', 'unknown'].includes(step.state)) return 'refused';
  close(step, 'failed');
  if (model.state === 'aborting') giveBackPlaces(model, index);
  return 'ok';
}

/** Begin nothing new. */
export function pause(model: Model): string {
  if (isEndedRun(model.state) || model.state === 'aborting' || model.state === 'paused') return 'refused';
  model.state = 'paused';
  return 'ok';
}

/** Go on: what was sent may have been dropped, and what was about to act asks again. */
export function resume(model: Model): string {
  if (model.state !== 'paused') return 'refused';
  model.state = 'running';
  for (const step of model.steps) {
    const isSent = (step.state === 'ready' || step.state === 'unknown') && !step.inOutbox;
    if (isSent) makeReady(step, step.state as 'ready' | 'unknown');
  }
  for (const index of model.stopped) {
    const step = model.steps[index];
    if (step?.state === 'waiting') makeReady(step);
    else if (step?.state === 'running') step.isWoken = true;
  }
  model.stopped.clear();
  return 'ok';
}

/** End the run where it stands. */
export function kill(model: Model): string {
  if (isEndedRun(model.state)) return 'refused';
  model.state = model.steps.some(({ state }) => state === 'running') ? 'left-over' : 'aborted';
  for (const [index, step] of model.steps.entries()) {
    if (isEndedStep(step.state) || step.state === 'failed') continue;
    if (step.isActing) close(step, 'unknown');
    else cancel(model, index);
  }
  return 'ok';
}

/** Do a step and all that follows from it once more. */
export function redo(model: Model, index: number): string {
  const isMainOver = model.steps.every((_, at) => isFinally(model, at) || isOver(model, at));
  if (isEndedRun(model.state) || model.state === 'aborting' || isMainOver) return 'refused';
  if (isFinally(model, index)) return 'refused';
  const again = followersOf(model, index);
  const isBusy = ({ state, isActing }: ModelStep) =>
    state === 'running' || state === 'unknown' || (state === 'waiting' && isActing);
  const steps = again.flatMap((at) => model.steps[at] ?? []);
  if (steps.some(isBusy)) return 'refused';
  for (const step of steps) {
    if (step.state === 'pending') continue;
    close(step, 'pending');
    Object.assign(step, { attempt: step.attempt + 1, retries: 0, hasActed: false, isActing: false });
    step.hasBegun = false;
  }
  return 'ok';
}

function followersOf(model: Model, index: number): readonly number[] {
  const found = new Set([index]);
  for (const [at, { after }] of model.plan.steps.entries()) {
    if (!isFinally(model, at) && after.some((before) => found.has(before))) found.add(at);
  }
  return [...found];
}
