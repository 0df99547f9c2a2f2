import { formatDuration } from '../base/duration.ts';
import type { RunSnapshot, StepView } from '../engine/store.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { Waiting } from '../run/events.ts';
import type { StepState } from '../run/states.ts';

/** States of the steps of a run; a run that has grown has more of them than are known. */
type States = readonly (StepState | undefined)[];

/** Count the steps that people see. What takes others back is counted by itself; barriers do nothing and are not counted. */
interface Tally {
  readonly shown: number;
  readonly undoing: number;
  readonly isTakenBack: boolean;
  done: number;
  undone: number;
}

/** Count the steps that people see: `5/18`, done or skipped of all. */
export function countDone(plan: Plan, states: States): string {
  const { done, shown } = tallyOf(plan, states);
  return `${done}/${shown}`;
}

/** Say how far a run is, and in what direction: `5/18 done`, or `2/3 taken back`. */
export function describeFar(plan: Plan, states: States): string {
  return tellFar(tallyOf(plan, states));
}

/** Tell whether a run is being taken back, or was. */
export function isTakenBack(plan: Plan): boolean {
  return plan.steps.some(beginsUndo);
}

/** Count along as states change: what a line costs does not depend on the size of the run. */
export function createTally(plan: () => Plan, before: States) {
  const states = [...before];
  let counted: Plan | undefined;
  let tally: Tally = { shown: 0, undoing: 0, isTakenBack: false, done: 0, undone: 0 };
  const count = () => {
    if (plan() !== counted) tally = tallyOf(plan(), states);
    counted = plan();
    return tally;
  };
  return {
    set(index: number, state: StepState): void {
      const [now, step] = [count(), plan().steps[index]];
      const [old, next] = [worth(step, states[index]), worth(step, state)];
      states[index] = state;
      now.done += next.done - old.done;
      now.undone += next.undone - old.undone;
    },
    far: () => tellFar(count()),
  };
}

function tellFar({ shown, undoing, isTakenBack: isBack, done, undone }: Tally): string {
  if (!isBack) return `${done}/${shown} done`;
  return `${undoing === 0 ? 'nothing' : `${undone}/${undoing}`} taken back`;
}

function tallyOf(plan: Plan, states: States): Tally {
  const tally = { shown: 0, undoing: 0, isTakenBack: isTakenBack(plan), done: 0, undone: 0 };
  for (const [index, step] of plan.steps.entries()) {
    if (isSeen(step)) tally.shown += 1;
    if (step.kind === 'undo') tally.undoing += 1;
    const { done, undone } = worth(step, states[index]);
    tally.done += done;
    tally.undone += undone;
  }
  return tally;
}

/** What one step adds to the tally. The one that is taken back says so, not the one that takes it back. */
function worth(step: PlanStep | undefined, state: StepState | undefined): Pick<Tally, 'done' | 'undone'> {
  const isDone = step !== undefined && isSeen(step) && (state === 'succeeded' || state === 'skipped');
  const isUndone = state === 'undone' || (step?.kind === 'undo' && state === 'skipped');
  return { done: isDone ? 1 : 0, undone: isUndone ? 1 : 0 };
}

const isSeen = (step: PlanStep) => step.kind !== 'barrier' && step.kind !== 'undo' && !beginsUndo(step);

/** The step that works out what is to be taken back expands nothing of the playbook. */
const beginsUndo = ({ kind, expansion }: PlanStep) => kind === 'expand' && expansion === undefined;

/**
 * Say how far a run is: `5/18 done, 1 running, 2 waiting, 0 failed`; what is ready and not taken yet, where there is any;
 * before it the state of the run, where it does not simply go on.
 */
export function describeProgress(plan: Plan, { state, states, counts }: RunSnapshot): string {
  const ready = counts.ready ? `, ${counts.ready} ready` : '';
  const beside = `${counts.running ?? 0} running, ${counts.waiting ?? 0} waiting${ready}, ${counts.failed ?? 0} failed`;
  return `${state === 'running' ? '' : `${state}: `}${describeFar(plan, states)}, ${beside}`;
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
