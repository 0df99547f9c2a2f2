import type { Plan } from '../plan/plan.ts';
import { isEndedRun, isEndedStep, type RunState, type StepState } from './states.ts';

/** Be a step in the model. */
interface ModelStep {
  state: StepState;
  /** Raised each time it becomes ready: older deliveries are stale. */
  delivery: number;
  token: string;
  /** The act began, and nobody has said how it ended. */
  isActing: boolean;
  /** The act returned. */
  hasActed: boolean;
  attempt: number;
  retries: number;
  /** Stands in the outbox, not yet sent. */
  inOutbox: boolean;
  /** Something is due some day: lease, poll, resend. */
  hasTimer: boolean;
  /** Was woken while it was being asked. */
  isWoken: boolean;
  /** Group whose place it waits for. */
  waitsForGroup: number | undefined;
}

/**
 * Be the reference model of a run: what the store's scripts must do, said without counters, keys or time.
 * A step is ready when all it depends on is done, and not because a number has become 0. A test compares both.
 */
export interface Model {
  readonly plan: Pick<Plan, 'steps' | 'groups'>;
  state: RunState;
  readonly steps: ModelStep[];
  /** `group:member` of the members that are begun and not finished. */
  readonly begun: Set<string>;
}

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
  | { readonly op: 'expire' | 'retry' | 'skip' | 'wake'; readonly step: number }
  | { readonly op: 'take' | 'abort' | 'retryAll' };

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
    waitsForGroup: undefined,
  }));
  const model: Model = { plan, state: 'running', steps, begun: new Set() };
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
  switch (op.op) {
    case 'take':
      return take(model);
    case 'abort':
      return abort(model);
    case 'retryAll':
      return retryAll(model);
    case 'claim':
      return claim(model, op);
    case 'expire':
      return expire(model, op.step);
    case 'wake':
      return wake(model, op.step);
    case 'retry':
      return retry(model, op.step);
    case 'skip':
      return skip(model, op.step);
    default:
      return write(model, op);
  }
}

const isFinally = (model: Model, step: number) => model.plan.steps[step]?.part === 'finally';

function makeReady(step: ModelStep, state: 'ready' | 'unknown' = 'ready'): void {
  const delivery = step.delivery + 1;
  Object.assign(step, { state, delivery, inOutbox: true, hasTimer: false, waitsForGroup: undefined });
}

function close(step: ModelStep, state: StepState): void {
  Object.assign(step, { state, inOutbox: false, hasTimer: false, isWoken: false, waitsForGroup: undefined });
}

function claim(model: Model, { step: index, delivery, token }: ModelClaim): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state)) return 'ended';
  if (isEndedStep(step.state) || step.state === 'failed') return 'done';
  if ((step.state !== 'ready' && step.state !== 'unknown') || step.delivery !== delivery) return 'stale';
  const refused = takePlaces(model, index);
  if (refused !== undefined) {
    close(step, 'waiting');
    step.waitsForGroup = refused;
    return 'no-place';
  }
  Object.assign(step, { state: 'running', token, inOutbox: false, hasTimer: true });
  return 'granted';
}

/** Only the holder of the lease writes; a repeat of what was accepted is recognised. */
function write(model: Model, op: ModelWrite): string {
  const step = model.steps[op.step];
  if (!step) return 'lost';
  if (step.state === 'running' && step.token === op.token) return accept(model, step, op);
  const isMine = step.token === op.token;
  if (op.op === 'complete' && isMine && ['succeeded', 'failed', 'skipped'].includes(step.state))
    return 'duplicate';
  const isParking = op.op === 'park' || op.op === 'retryLater';
  return isParking && isMine && step.state === 'waiting' ? 'accepted' : 'lost';
}

function accept(model: Model, step: ModelStep, op: ModelWrite): string {
  const inFinally = isFinally(model, op.step);
  if (op.op === 'acting') {
    if (model.state === 'aborting' && !inFinally) return 'refused';
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

/** A step that is over in every sense forgets its act. */
function end(model: Model, index: number): void {
  const step = model.steps[index];
  if (step) Object.assign(step, { isActing: false, hasActed: false, retries: 0 });
  giveBackPlaces(model, index);
}

/** The last step of a member that is over gives its place back. */
function giveBackPlaces(model: Model, index: number): void {
  for (const { group, member } of model.plan.steps[index]?.places ?? []) {
    const isUnfinished = model.plan.steps.some(
      ({ places }, other) =>
        places.some((place) => place.group === group && place.member === member) && !isOver(model, other),
    );
    if (!isUnfinished) model.begun.delete(`${group}:${member}`);
  }
}

function isOver(model: Model, index: number): boolean {
  const state = model.steps[index]?.state ?? 'pending';
  return (
    isEndedStep(state) || (state === 'failed' && (isFinally(model, index) || model.state === 'aborting'))
  );
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

function cancel(model: Model, index: number): void {
  const step = model.steps[index];
  if (!step) return;
  const { isActing } = step;
  close(step, 'cancelled');
  end(model, index);
  step.isActing = isActing;
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
  const taken = model.steps.flatMap((step, index) => (step.inOutbox ? [index] : []));
  for (const index of taken) Object.assign(model.steps[index] ?? {}, { inOutbox: false, hasTimer: true });
  return taken.join(',');
}

function wake(model: Model, index: number): string {
  const step = model.steps[index];
  if (isEndedRun(model.state) || step?.state !== 'waiting') return 'false';
  makeReady(step);
  return 'true';
}

function abort(model: Model): string {
  if (isEndedRun(model.state) || model.state === 'aborting') return 'refused';
  model.state = 'aborting';
  for (const [index, { state, isActing }] of model.steps.entries()) {
    const isIdle = state === 'pending' || ((state === 'ready' || state === 'waiting') && !isActing);
    if (isIdle && !isFinally(model, index)) cancel(model, index);
    else if (state === 'failed') giveBackPlaces(model, index);
  }
  return 'ok';
}

function retry(model: Model, index: number): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state) || model.state === 'aborting') return 'refused';
  if (step.state === 'waiting') makeReady(step);
  else if (step.state === 'failed' && !isFinally(model, index)) retryFailed(step);
  else return 'refused';
  return 'ok';
}

function retryAll(model: Model): string {
  if (isEndedRun(model.state) || model.state === 'aborting') return 'refused';
  const failed = model.steps.filter(({ state }, index) => state === 'failed' && !isFinally(model, index));
  for (const step of failed) retryFailed(step);
  return failed.length > 0 ? 'ok' : 'refused';
}

function retryFailed(step: ModelStep): void {
  Object.assign(step, { attempt: step.attempt + 1, retries: 0, hasActed: false });
  makeReady(step);
}

function skip(model: Model, index: number): string {
  const step = model.steps[index];
  if (!step || isEndedRun(model.state)) return 'refused';
  const isFailed = step.state === 'failed' && model.state !== 'aborting' && !isFinally(model, index);
  if (!isFailed && !['ready', 'waiting', 'unknown'].includes(step.state)) return 'refused';
  close(step, 'skipped');
  end(model, index);
  return 'ok';
}

/** All places of a step, or none: then the group that has none left. */
function takePlaces(model: Model, index: number): number | undefined {
  const places = model.plan.steps[index]?.places ?? [];
  const missing = places.filter(({ group, member }) => !model.begun.has(`${group}:${member}`));
  for (const { group } of missing) {
    const count = [...model.begun].filter((one) => one.startsWith(`${group}:`)).length;
    if (count >= (model.plan.groups[group]?.maxParallel ?? 1)) return group;
  }
  for (const { group, member } of missing) model.begun.add(`${group}:${member}`);
  return undefined;
}

/** Nobody waits for a place that is free: group by group and member by member whoever can go on does. */
function letWaitersIn(model: Model): void {
  const memberOf = (index: number) => {
    const group = model.steps[index]?.waitsForGroup;
    return model.plan.steps[index]?.places.find((place) => place.group === group)?.member ?? 0;
  };
  const groupOf = (index: number) => model.steps[index]?.waitsForGroup ?? 0;
  const waiting = [...model.steps.keys()]
    .filter((index) => model.steps[index]?.waitsForGroup !== undefined)
    .sort((a, b) => groupOf(a) - groupOf(b) || memberOf(a) - memberOf(b) || (String(a) < String(b) ? -1 : 1));
  for (const index of waiting) {
    const step = model.steps[index];
    const refused = takePlaces(model, index);
    if (step && refused === undefined) makeReady(step);
    else if (step) step.waitsForGroup = refused;
  }
}

/** Make ready what has nothing left to wait for, and say what the run has become. */
function advance(model: Model): void {
  if (isEndedRun(model.state)) return;
  const isAborting = model.state === 'aborting';
  const indices = model.steps.map((_, index) => index);
  const [main, last] = [
    indices.filter((i) => !isFinally(model, i)),
    indices.filter((i) => isFinally(model, i)),
  ];
  const stateOf = (index: number) => model.steps[index]?.state ?? 'pending';
  const hasFailed = main.some((index) => stateOf(index) === 'failed');
  const isMainOver = main.every((i) => isEndedStep(stateOf(i)) || (isAborting && stateOf(i) === 'failed'));
  for (const index of isMainOver ? last : main) becomeReady(model, index);
  if (isMainOver && last.every((index) => isOver(model, index))) {
    const isLeftOver = last.some((index) => stateOf(index) === 'failed');
    model.state = isAborting ? 'aborted' : 'succeeded';
    if (isLeftOver) model.state = 'left-over';
  } else if (!isAborting) model.state = hasFailed ? 'failed' : 'running';
}

function becomeReady(model: Model, index: number): void {
  const [step, planned] = [model.steps[index], model.plan.steps[index]];
  if (step?.state !== 'pending' || !planned) return;
  const before = planned.after.filter((other) => isFinally(model, other) === isFinally(model, index));
  const isPassed = (other: number) => isOver(model, other) && model.steps[other]?.state !== 'cancelled';
  if (before.every(isPassed)) makeReady(step);
}
