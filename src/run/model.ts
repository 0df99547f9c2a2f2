import {
  abort,
  kill,
  markDone,
  markFailed,
  pause,
  redo,
  resume,
  retry,
  retryAll,
  skip,
  wake,
} from './model-control.ts';
import {
  actHaltOf,
  advance,
  cancel,
  close,
  end,
  giveBackPlaces,
  haltOf,
  isFinally,
  letWaitersIn,
  makeReady,
  takePlaces,
} from './model-flow.ts';
import type { Model, ModelStep } from './model-state.ts';
import { isEndedRun, isEndedStep } from './states.ts';

/** Be a write of a worker. Only the holder of the token writes. */
export type ModelWrite = { readonly step: number; readonly token: string } & (
  | { readonly op: 'acting' | 'acted' | 'verified' | 'park' }
  | {
      readonly op: 'complete';
      readonly outcome: 'succeeded' | 'failed' | 'skipped';
      readonly mayHaveActed: boolean;
    }
  | { readonly op: 'retryLater'; readonly mayHaveActed: boolean }
);

/** Be a claim of a delivery. */
export type ModelClaim = {
  readonly op: 'claim';
  readonly step: number;
  readonly delivery: number;
  readonly token: string;
};

/** Be something that happens to a run. `expire`: what is due of the step is due now; `take`: the outbox is sent. */
export type ModelOp =
  | ModelClaim
  | ModelWrite
  | {
      readonly op: 'expire' | 'retry' | 'redo' | 'skip' | 'wake' | 'markDone' | 'markFailed';
      readonly step: number;
    }
  | {
      readonly op: 'take' | 'abort' | 'retryAll' | 'pause' | 'resume' | 'kill' | 'freeze' | 'unfreeze';
    };

/** Begin a run. */
export function beginModel(plan: Model['plan']): Model {
  const steps = plan.steps.map(() => ({
    state: 'pending' as const,
    delivery: 0,
    token: '',
    isActing: false,
    hasActed: false,
    attempt: 1,
    retries: 0,
    inOutbox: false,
    hasTimer: false,
    isWoken: false,
    hasBegun: false,
    waitsForGroup: undefined,
  }));
  const model: Model = {
    plan,
    state: 'running',
    steps,
    begun: new Set(),
    stopped: new Set(),
    isFrozen: false,
  };
  advance(model);
  return model;
}

/** Let something happen. @returns the answer of the store in one word */
export function applyToModel(model: Model, op: ModelOp): string {
  const answer = answerTo(model, op);
  letWaitersIn(model);
  advance(model);
  return answer;
}

function answerTo(model: Model, op: ModelOp): string {
  if (op.op === 'claim') return claim(model, op);
  if ('token' in op) return write(model, op);
  if ('step' in op) return onStep[op.op](model, op.step);
  return onRun[op.op](model);
}

const onStep = { expire, retry, redo, skip, wake, markDone, markFailed } as const;

const onRun = {
  ...{ take, abort, retryAll, pause, resume, kill },
  freeze: (model: Model) => setFrozen(model, true),
  unfreeze: (model: Model) => setFrozen(model, false),
} as const;

function setFrozen(model: Model, isFrozen: boolean): string {
  model.isFrozen = isFrozen;
  return 'ok';
}

function claim(model: Model, { step: index, delivery, token }: ModelClaim): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state)) return 'ended';
  if (isEndedStep(step.state) || step.state === 'failed') return 'done';
  if ((step.state !== 'ready' && step.state !== 'unknown') || step.delivery !== delivery) return 'stale';
  if (haltOf(model) && step.state === 'ready' && !step.hasBegun) {
    makeReady(step);
    return 'halted';
  }
  const refused = takePlaces(model, index);
  if (refused !== undefined) {
    close(step, 'waiting');
    step.waitsForGroup = refused;
    return 'no-place';
  }
  Object.assign(step, { state: 'running', token, inOutbox: false, hasTimer: true, hasBegun: true });
  return 'granted';
}

/** Only the holder of the lease writes; a repeat of what was accepted is recognised. */
function write(model: Model, op: ModelWrite): string {
  const step = model.steps[op.step];
  if (!step) return 'lost';
  const isOver = isEndedRun(model.state);
  if (!isOver && step.state === 'running' && step.token === op.token) return accept(model, step, op);
  const isMine = step.token === op.token;
  if (op.op === 'complete' && isMine && ['succeeded', 'failed', 'skipped'].includes(step.state))
    return 'duplicate';
  const isParking = op.op === 'park' || op.op === 'retryLater';
  return isParking && isMine && step.state === 'waiting' ? 'accepted' : 'lost';
}

function accept(model: Model, step: ModelStep, op: ModelWrite): string {
  const inFinally = isFinally(model, op.step);
  if (op.op === 'acting') {
    if (model.state === 'aborting' && !inFinally) return 'aborting';
    const halt = actHaltOf(model);
    if (halt === 'paused') model.stopped.add(op.step);
    if (halt) return halt;
    step.isActing = true;
  } else if (op.op === 'acted') Object.assign(step, { isActing: false, hasActed: true });
  else if (op.op === 'verified') Object.assign(step, { isActing: false, hasActed: false });
  else if (op.op === 'complete') complete(model, op);
  else park(model, op);
  return 'accepted';
}

function complete(model: Model, op: Extract<ModelWrite, { readonly op: 'complete' }>): void {
  const step = model.steps[op.step];
  if (!step) return;
  close(step, op.outcome);
  if (op.outcome !== 'failed' || isFinally(model, op.step)) end(model, op.step);
  else {
    if (!op.mayHaveActed) step.isActing = false;
    if (model.state === 'aborting') giveBackPlaces(model, op.step);
  }
}

function park(model: Model, op: ModelWrite): void {
  const step = model.steps[op.step];
  if (!step) return;
  if (op.op === 'retryLater') {
    Object.assign(step, { attempt: step.attempt + 1, retries: step.retries + 1 });
    if (!op.mayHaveActed) step.isActing = false;
  }
  const { isWoken } = step;
  close(step, 'waiting');
  if (model.state === 'aborting' && !isFinally(model, op.step) && !step.isActing) cancel(model, op.step);
  else if (isWoken) makeReady(step);
  else step.hasTimer = op.op === 'retryLater';
}

function expire(model: Model, index: number): string {
  const step = model.steps[index];
  if (!step?.hasTimer) return 'nothing';
  if (step.state === 'waiting') makeReady(step);
  else if (step.state === 'ready' || step.state === 'unknown') makeReady(step, step.state);
  else if (step.isActing) makeReady(step, 'unknown');
  else if (model.state === 'aborting' && !isFinally(model, index)) cancel(model, index);
  else {
    Object.assign(step, { isWoken: false, attempt: step.attempt + 1 });
    makeReady(step);
  }
  return 'done';
}

function take(model: Model): string {
  if (haltOf(model)) return '';
  const taken = model.steps.flatMap((step, index) => (step.inOutbox ? [index] : []));
  for (const index of taken) Object.assign(model.steps[index] ?? {}, { inOutbox: false, hasTimer: true });
  return taken.join(',');
}
