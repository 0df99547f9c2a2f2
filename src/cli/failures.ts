import type { StepError } from '../engine/leases.ts';
import type { RunSnapshot } from '../engine/store.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import { isEndedRun, type StepState } from '../run/states.ts';
import { shortRun } from './lines.ts';
import { isTakenBack } from './progress.ts';
import { wrapSentence } from './text.ts';

/** Say how texts are written: how this cephflow is called, and the columns of the terminal, where there is one. */
export interface Telling {
  readonly self: string;
  readonly width: number | undefined;
}

/** Failed steps written out whole; the rest are named by `show`. */
const mostErrors = 5;

/**
 * Write every failed step of a run with its whole error, and what can be typed next; '' where none failed.
 */
export function describeFailures(plan: Plan, snapshot: RunSnapshot, { self, width }: Telling): string {
  const failed = snapshot.views.filter((view) => view.state === 'failed');
  if (failed.length === 0) return '';
  const run = shortRun(snapshot.run);
  const idOf = (step: number) => plan.steps[step]?.id ?? String(step);
  const errors = failed
    .slice(0, mostErrors)
    .flatMap(({ step, error }) => [
      `  ${idOf(step)}`,
      ...errorLines(tellError(error, isEndedRun(snapshot.state)), width),
    ]);
  const more = failed.slice(mostErrors).map(({ step }) => `  ${idOf(step)}`);
  const [first] = failed;
  const id = first === undefined ? '' : idOf(first.step);
  const told = [`run ${run}: ${describeCounts(plan, snapshot)}`, ...errors, ...more];
  if (isEndedRun(snapshot.state)) return told.join('\n');
  return [
    ...told,
    'what you can do:',
    `  once more:    ${self} retry ${run}${failed.length === 1 ? '' : ` --step ${id}`}`,
    `  leave it out: ${self} skip ${run} --step ${id} --confirm ${id} --reason "…"`,
    ...(hasNoWayBack(plan, snapshot) ? [] : [`  take it back: ${self} undo ${run} --reason "…"`]),
    `  give up:      ${self} abort ${run} --reason "…"`,
    `  look closer:  ${self} logs ${run} ${id}`,
  ].join('\n');
}

/** What has destroyed data cannot be taken back, nor what is being taken back already. */
function hasNoWayBack(plan: Plan, { views }: RunSnapshot): boolean {
  const hasDestroyed = views.some(({ acted, step }) => acted && plan.steps[step]?.risk === 'destroys-data');
  return hasDestroyed || isTakenBack(plan);
}

/** What an error advises is about a run that can still go on. */
function tellError(error: StepError | undefined, isOver: boolean): string {
  if (error === undefined) return 'no error was recorded';
  return isOver ? `${error.code}  ${error.message}` : (error.detail ?? error.message);
}

/** Commands and what they said, which are indented, stay as they are: they are copied. */
function errorLines(text: string, width: number | undefined): readonly string[] {
  return text
    .split('\n')
    .map((line) => (line.startsWith(' ') ? `    ${line}` : wrapSentence(`    ${line}`, width, '    ')));
}

/** Say `2 steps have failed, 1 goes on, 4 have not begun`. */
function describeCounts(plan: Plan, { states }: RunSnapshot): string {
  const count = (wanted: readonly StepState[], part: 'main' | 'finally') =>
    plan.steps.filter((step, index) => {
      const state = states[index];
      return step.kind !== 'barrier' && step.part === part && state !== undefined && wanted.includes(state);
    }).length;
  const failed = count(['failed'], 'main') + count(['failed'], 'finally');
  const [going, pending] = [
    count(['running', 'waiting', 'ready', 'unknown'], 'main'),
    count(['pending'], 'main'),
  ];
  return [
    failed === 1 ? 'a step has failed' : `${failed} steps have failed`,
    ...(going === 0 ? [] : [`${going} ${going === 1 ? 'goes' : 'go'} on`]),
    ...(pending === 0 ? [] : [`${pending} ${pending === 1 ? 'has' : 'have'} not begun`]),
  ].join(', ');
}

/** Write the questions that wait for a person, each with the exact line that answers it; '' where there are none. */
export function describeQuestions(plan: Plan, snapshot: RunSnapshot, telling: Telling): string {
  return snapshot.views
    .filter((view) => view.state === 'waiting' && view.waiting?.question !== undefined)
    .map(({ step, waiting }) => {
      const { id = '', approvers } = plan.steps[step] ?? {};
      const asked = { step: id, approvers, question: waiting?.question ?? '' };
      return describeQuestion(shortRun(snapshot.run), asked, telling);
    })
    .join('\n');
}

interface Asked {
  readonly step: string;
  readonly question: string;
  readonly approvers: PlanStep['approvers'];
}

function describeQuestion(
  run: string,
  { step, question, approvers }: Asked,
  { self, width }: Telling,
): string {
  return [
    wrapSentence(`run ${run} asks: ${question}`, width, '    '),
    ...(approvers === undefined ? [] : [`  who: only ${approvers.join(' or ')} may answer`]),
    `  yes: ${self} approve ${run} ${step}`,
    `  no:  ${self} reject ${run} ${step} --comment "…"`,
  ].join('\n');
}
