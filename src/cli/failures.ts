import type { RunSnapshot } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import { shortRun } from './lines.ts';

/**
 * Write every failed step of a run with its whole error, and what can be typed next; '' where none failed.
 * @param self how this cephflow is called, with the options that lead to the same runs
 */
export function describeFailures(plan: Plan, snapshot: RunSnapshot, self: string): string {
  const failed = snapshot.views.filter((view) => view.state === 'failed');
  if (failed.length === 0) return '';
  const run = shortRun(snapshot.run);
  const idOf = (step: number) => plan.steps[step]?.id ?? String(step);
  const errors = failed.flatMap(({ step, error }) => [
    `  ${idOf(step)}`,
    ...(error?.detail ?? error?.message ?? 'no error was recorded').split('\n').map((line) => `    ${line}`),
  ]);
  const [first] = failed;
  const id = first === undefined ? '' : idOf(first.step);
  return [
    `run ${run}: ${failed.length === 1 ? 'a step' : `${failed.length} steps`} failed`,
    ...errors,
    'what you can do:',
    `  ${self} retry ${run}${failed.length === 1 ? '' : ` --step ${id}`}`,
    `  ${self} skip ${run} --step ${id} --reason "…" --confirm ${id}`,
    `  ${self} abort ${run} --reason "…"`,
  ].join('\n');
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
