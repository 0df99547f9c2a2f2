import type { Model, ModelStep } from './model-state.ts';
import { isEndedRun, isEndedStep, type StepState } from './states.ts';

/** Tell whether a step is one of those that are done when the run ends. */
export const isFinally = (model: Model, step: number) => model.plan.steps[step]?.part === 'finally';

/** Tell why no act may begin now. */
export function actHaltOf(model: Model): 'paused' | 'frozen' | undefined {
  if (model.state === 'paused') return 'paused';
  return model.isFrozen ? 'frozen' : undefined;
}

/** Tell why nothing may begin now. What is held is given back in a frozen cluster too. */
export function haltOf(model: Model): 'paused' | 'frozen' | undefined {
  const halt = actHaltOf(model);
  const hasFinally = model.steps.some((_, index) => isFinally(model, index));
  const isMainOver = model.steps.every((_, index) => isFinally(model, index) || isOver(model, index));
  return halt === 'frozen' && hasFinally && isMainOver ? undefined : halt;
}

/** A step is to be done: its next delivery stands in the outbox. */
export function makeReady(step: ModelStep, state: 'ready' | 'unknown' = 'ready'): void {
  const delivery = step.delivery + 1;
  Object.assign(step, { state, delivery, inOutbox: true, hasTimer: false, waitsForGroup: undefined });
}

/** Leave whatever a step was doing. */
export function close(step: ModelStep, state: StepState): void {
  Object.assign(step, { state, inOutbox: false, hasTimer: false, isWoken: false, waitsForGroup: undefined });
}

/** A step that is over in every sense forgets its act. */
export function end(model: Model, index: number): void {
  const step = model.steps[index];
  if (step) Object.assign(step, { isActing: false, hasActed: false, retries: 0 });
  giveBackPlaces(model, index);
}

/** The last step of a member that is over gives its place back. */
export function giveBackPlaces(model: Model, index: number): void {
  for (const { group, member } of model.plan.steps[index]?.places ?? []) {
    const isUnfinished = model.plan.steps.some(
      ({ places }, other) =>
        places.some((place) => place.group === group && place.member === member) && !isOver(model, other),
    );
    if (!isUnfinished) model.begun.delete(`${group}:${member}`);
  }
}

/** Tell whether a step keeps its run from ending no more. */
export function isOver(model: Model, index: number): boolean {
  const state = model.steps[index]?.state ?? 'pending';
  return (
    isEndedStep(state) || (state === 'failed' && (isFinally(model, index) || model.state === 'aborting'))
  );
}

/** A step that has not begun is done no more. */
export function cancel(model: Model, index: number): void {
  const step = model.steps[index];
  if (!step) return;
  const { isActing } = step;
  close(step, 'cancelled');
  end(model, index);
  step.isActing = isActing;
}

/** All places of a step, or none: then the group that has none left. */
export function takePlaces(model: Model, index: number): number | undefined {
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
export function letWaitersIn(model: Model): void {
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
export function advance(model: Model): void {
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
  } else if (!isAborting && model.state !== 'paused') model.state = hasFailed ? 'failed' : 'running';
}

function becomeReady(model: Model, index: number): void {
  const [step, planned] = [model.steps[index], model.plan.steps[index]];
  if (step?.state !== 'pending' || !planned) return;
  const before = planned.after.filter((other) => isFinally(model, other) === isFinally(model, index));
  const isPassed = (other: number) => isOver(model, other) && model.steps[other]?.state !== 'cancelled';
  if (before.every(isPassed)) makeReady(step);
}
