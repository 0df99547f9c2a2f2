import { formatDuration } from '../base/duration.ts';
import type { RunSnapshot, StepView } from '../engine/store.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { Waiting } from '../run/events.ts';
import type { StepState } from '../run/states.ts';

/** States of the steps of a run; a run that has grown has more of them than are known. */
type States = readonly (StepState | undefined)[];

/**
 * Count the steps that people see: `5/18`, done or skipped of all. Barriers do nothing and are not counted, nor is what
 * takes others back.
 */
export function countDone(plan: Plan, states: States): string {
  return countOf(
    plan,
    states,
    (step) => step.kind !== 'barrier' && step.kind !== 'undo' && !beginsUndo(step),
  );
}

/** Count what takes others back: `2/3`; `nothing` where there is nothing to take back, or it is not known yet. */
export function countUndone(plan: Plan, states: States): string {
  const count = countOf(plan, states, ({ kind }) => kind === 'undo');
  return count === '0/0' ? 'nothing' : count;
}

function countOf(plan: Plan, states: States, isCounted: (step: PlanStep) => boolean): string {
  const shown = plan.steps.flatMap((step, index) => (isCounted(step) ? [states[index]] : []));
  const done = shown.filter((state) => state === 'succeeded' || state === 'skipped').length;
  return `${done}/${shown.length}`;
}

/** Tell whether a run is being taken back, or was. */
export function isTakenBack(plan: Plan): boolean {
  return plan.steps.some(beginsUndo);
}

/** The step that works out what is to be taken back expands nothing of the playbook. */
const beginsUndo = ({ kind, expansion }: PlanStep) => kind === 'expand' && expansion === undefined;

/**
 * Say how far a run is: `5/18 done, 1 running, 2 waiting, 0 failed`; what is ready and not taken yet, where there is any;
 * before it the state of the run, where it does not simply go on.
 */
export function describeProgress(plan: Plan, { state, states, counts }: RunSnapshot): string {
  const ready = counts.ready ? `, ${counts.ready} ready` : '';
  const beside = `${counts.running ?? 0} running, ${counts.waiting ?? 0} waiting${ready}, ${counts.failed ?? 0} failed`;
  const far = isTakenBack(plan)
    ? `${countUndone(plan, states)} taken back`
    : `${countDone(plan, states)} done`;
  return `${state === 'running' ? '' : `${state}: `}${far}, ${beside}`;
}

/** Say what a step waits for: `12 PGs are still on osd.2 (12 -> 0 PGs, asked again in 10s)`. */
export function describeWait(
  { reason, progress, question, nextAskMs }: Omit<Waiting, 'sinceMs'>,
  nowMs: number,
): string {
  const facts: string[] = [];
  if (progress && progress.value !== progress.target)
    facts.push(`${figure(progress.value)} -> ${figure(progress.target)} ${progress.unit}`);
  if (nextAskMs !== undefined && question === undefined && nextAskMs > nowMs)
    facts.push(`asked again in ${formatDuration(nextAskMs - nowMs)}`);
  return facts.length === 0 ? reason : `${reason} (${facts.join(', ')})`;
}

const figure = (value: number) => String(Math.round(value * 10) / 10);

/** A view of a step that waits, with what it waits for. */
type WaitingView = StepView & { readonly waiting: Waiting };

/** List the steps that wait, the longest first. */
export function waitingSteps(views: readonly StepView[]): readonly WaitingView[] {
  return views
    .flatMap((view) => (view.state === 'waiting' && view.waiting ? [{ ...view, waiting: view.waiting }] : []))
    .sort((a, b) => a.waiting.sinceMs - b.waiting.sinceMs);
}
