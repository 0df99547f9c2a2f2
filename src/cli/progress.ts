import { formatDuration } from '../base/duration.ts';
import type { RunSnapshot, StepView } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import type { Waiting } from '../run/events.ts';
import type { StepState } from '../run/states.ts';

/** Count the steps that people see: `5/18`, done or skipped of all. Barriers do nothing and are not counted. */
export function countDone(plan: Plan, states: readonly (StepState | undefined)[]): string {
  const shown = plan.steps.flatMap(({ kind }, index) => (kind === 'barrier' ? [] : [states[index]]));
  const done = shown.filter((state) => state === 'succeeded' || state === 'skipped').length;
  return `${done}/${shown.length}`;
}

/** Say how far a run is: `5/18 done, 1 running, 2 waiting, 0 failed`; what is ready and not taken yet, where there is any. */
export function describeProgress(plan: Plan, { states, counts }: RunSnapshot): string {
  const ready = counts.ready ? `, ${counts.ready} ready` : '';
  const beside = `${counts.running ?? 0} running, ${counts.waiting ?? 0} waiting${ready}, ${counts.failed ?? 0} failed`;
  return `${countDone(plan, states)} done, ${beside}`;
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
