import type { RunSnapshot } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import { isEndedRun } from '../run/states.ts';
import { shortRun } from './lines.ts';

/** Failed steps written out whole; the rest are named by `show`. */
const mostErrors = 5;

/**
 * Write every failed step of a run with its whole error, and what can be typed next; '' where none failed.
 * @param self how this cephflow is called, with the options that lead to the same runs
 */
export function describeFailures(plan: Plan, snapshot: RunSnapshot, self: string): string {
  const failed = snapshot.views.filter((view) => view.state === 'failed');
  if (failed.length === 0) return '';
  const run = shortRun(snapshot.run);
  const idOf = (step: number) => plan.steps[step]?.id ?? String(step);
  const errors = failed
    .slice(0, mostErrors)
    .flatMap(({ step, error }) => [
      `  ${idOf(step)}`,
      ...(error?.detail ?? error?.message ?? 'no error was recorded')
        .split('\n')
        .map((line) => `    ${line}`),
    ]);
  const more = failed.slice(mostErrors).map(({ step }) => `  ${idOf(step)}`);
  const [first] = failed;
  const id = first === undefined ? '' : idOf(first.step);
  const count = failed.length === 1 ? 'a step has' : `${failed.length} steps have`;
  const told = [`run ${run}: ${count} failed${waitingBehind(plan, snapshot)}`, ...errors, ...more];
  if (isEndedRun(snapshot.state)) return told.join('\n');
  return [
    ...told,
    'what you can do:',
    `  once more:    ${self} retry ${run}${failed.length === 1 ? '' : ` --step ${id}`}`,
    `  leave it out: ${self} skip ${run} --step ${id} --confirm ${id} --reason "…"`,
    `  give up:      ${self} abort ${run} --reason "…"`,
    `  look closer:  ${self} logs ${run} ${id}`,
  ].join('\n');
}

function waitingBehind(plan: Plan, { states }: RunSnapshot): string {
  const count = plan.steps.filter(
    ({ kind, part }, index) => kind !== 'barrier' && part === 'main' && states[index] === 'pending',
  ).length;
  if (count === 0) return '';
  return count === 1 ? ', and a step has not begun' : `, and ${count} steps have not begun`;
}

/** Write the questions that wait for a person, each with the exact line that answers it; '' where there are none. */
export function describeQuestions(plan: Plan, snapshot: RunSnapshot, self: string): string {
  return snapshot.views
    .filter((view) => view.state === 'waiting' && view.waiting?.question !== undefined)
    .map((view) =>
      describeQuestion(snapshot.run, plan.steps[view.step]?.id ?? '', view.waiting?.question ?? '', self),
    )
    .join('\n');
}

function describeQuestion(run: string, step: string, question: string, self: string): string {
  return [
    `run ${shortRun(run)} asks: ${question}`,
    `  yes: ${self} approve ${shortRun(run)} ${step}`,
    `  no:  ${self} reject ${shortRun(run)} ${step} --comment "…"`,
  ].join('\n');
}
