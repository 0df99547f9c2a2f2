import { isJsonObject, type Json } from '../base/json.ts';
import type { LockView, RunSnapshot } from '../engine/store.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import { isEndedRun, type StepState } from '../run/states.ts';
import { formatMoment, shortRun } from './lines.ts';
import { wrapSentence } from './text.ts';

/** Commands written out; the others follow the same pattern. */
const mostCommands = 3;
/** Steps named in one line. */
const mostNames = 8;

/** An OSD as the plan has frozen it. */
interface FrozenOsd {
  readonly name: string;
  readonly uuid: string;
  readonly weight: number;
}

/**
 * Say what a run that failed or was aborted leaves as it is: weights at 0, what it has carried out, what nobody knows,
 * what it still holds; '' where it has changed nothing. `width`: columns of the terminal, where there is one.
 */
export function describeLeftBehind(plan: Plan, snapshot: RunSnapshot, width?: number): string {
  const lines = [...emptied(plan, snapshot), ...carriedOut(plan, snapshot), ...unknown(plan, snapshot)];
  const held = describeHolds(plan, snapshot);
  if (lines.length + held.length === 0) return '';
  const title = isEndedRun(snapshot.state)
    ? 'what the run leaves behind:'
    : 'how things stand meanwhile (an abort takes nothing back but what is held):';
  return [title, ...[...lines, ...held].map((line) => wrapSentence(`  ${line}`, width, '      '))].join('\n');
}

const weightTasks = ['osd.reweight', 'node.reweight'];

function emptied(plan: Plan, snapshot: RunSnapshot): readonly string[] {
  const purged = new Set(
    doneSteps(plan, snapshot)
      .filter(({ task }) => task === 'osd.purge')
      .flatMap((step) => osdsOf(step).map(({ uuid }) => uuid)),
  );
  const osds = doneSteps(plan, snapshot)
    .filter((step) => weightTasks.includes(step.task ?? '') && step.with['weight'] === 0)
    .flatMap(osdsOf)
    .filter(({ uuid }) => !purged.has(uuid));
  if (osds.length === 0) return [];
  const commands = osds
    .slice(0, mostCommands)
    .map(({ name, weight }) => `  ceph osd crush reweight ${name} ${Number(weight.toFixed(5))}`);
  const more = osds.length > mostCommands ? [`  and so on for ${osds.length - mostCommands} more`] : [];
  return [
    `CRUSH weight 0, so that no data comes back: ${listed(osds.map(({ name }) => name))}; as it was before:`,
    ...commands,
    ...more,
  ];
}

function carriedOut(plan: Plan, snapshot: RunSnapshot): readonly string[] {
  const doubtful = new Set(doubtfulSteps(snapshot));
  const held = new Set(plan.steps.flatMap(({ releases }) => releases ?? []));
  const changed = doneSteps(plan, snapshot).filter(
    (step) =>
      step.part === 'main' &&
      step.risk !== 'reads' &&
      !doubtful.has(plan.steps.indexOf(step)) &&
      !weightTasks.includes(step.task ?? '') &&
      !held.has(plan.steps.indexOf(step)),
  );
  return changed.length === 0 ? [] : [`carried out for good: ${listed(changed.map(({ id }) => id))}`];
}

/** Of a step in such a state it is known how its act is. */
const knownStates: readonly StepState[] = ['running', 'succeeded', 'undoing', 'undone'];

function doubtfulSteps({ views }: RunSnapshot): readonly number[] {
  return views
    .filter(({ isActing, state }) => isActing && !knownStates.includes(state))
    .map(({ step }) => step);
}

function unknown(plan: Plan, snapshot: RunSnapshot): readonly string[] {
  const ids = doubtfulSteps(snapshot).map((step) => plan.steps[step]?.id ?? String(step));
  return ids.length === 0 ? [] : [`begun, and nobody knows whether it happened: ${listed(ids)}`];
}

function describeHolds(plan: Plan, { holds, state, states }: RunSnapshot): readonly string[] {
  const isOver = isEndedRun(state);
  const held = holds.map(({ step, expiresMs }) => {
    const { id, title } = plan.steps[step] ?? { id: String(step), title: '' };
    const end = isOver
      ? `was not given back; it ends by itself at ${formatMoment(expiresMs)}`
      : `is held and renewed (now until ${formatMoment(expiresMs)}) and given back when the run ends`;
    return `${id} ${end}: ${title}`;
  });
  const given = plan.steps.flatMap(({ releases }, index) => {
    const id = releases === undefined || states[index] !== 'succeeded' ? undefined : plan.steps[releases]?.id;
    return id === undefined ? [] : [`${id} is given back`];
  });
  return [...held, ...given];
}

/**
 * Say which locks are still written to a run that was killed, each with the line that takes it away; '' where none is.
 * `locks`: those that it holds.
 */
export function describeLeftLocks(
  plan: Plan,
  { run, locks, self }: { readonly run: string; readonly locks: readonly LockView[]; readonly self: string },
): string {
  const lines = locks.flatMap(({ name, holders }) =>
    holders
      .filter((holder) => holder.run === run)
      .flatMap(({ step }) => {
        const id = step === undefined ? '' : `/${plan.steps[step]?.id ?? step}`;
        const words = `lock rm ${name} --confirm ${name} --holder ${shortRun(run)}${id}`;
        return [`  ${name}${id === '' ? '' : ` by ${id.slice(1)}`}`, `    ${self} ${words} --reason "…"`];
      }),
  );
  return lines.length === 0 ? '' : ['locks that it still holds; look first, then type:', ...lines].join('\n');
}

/** The steps that have done something and were not taken back, whatever became of them afterwards. */
function doneSteps(plan: Plan, { states, views }: RunSnapshot): readonly PlanStep[] {
  const acted = new Set(views.filter((view) => view.acted).map(({ step }) => step));
  const isWeight = ({ task }: PlanStep) => weightTasks.includes(task ?? '');
  return plan.steps.filter(
    (step, index) =>
      step.kind === 'task' &&
      states[index] !== 'undone' &&
      (acted.has(index) || (isWeight(step) && states[index] === 'succeeded')),
  );
}

function osdsOf(step: PlanStep): readonly FrozenOsd[] {
  const { osd, node } = step.with as Readonly<Record<string, Json | undefined>>;
  const many = isJsonObject(node) && Array.isArray(node['osds']) ? node['osds'] : [];
  return [osd, ...many].flatMap((one) => (isFrozenOsd(one) ? [one] : []));
}

function isFrozenOsd(value: unknown): value is FrozenOsd {
  if (typeof value !== 'object' || value === null) return false;
  const { name, uuid, weight } = value as Readonly<Record<string, unknown>>;
  return typeof name === 'string' && typeof uuid === 'string' && typeof weight === 'number';
}

function listed(names: readonly string[]): string {
  const rest = names.length - mostNames;
  return rest > 0 ? `${names.slice(0, mostNames).join(', ')} and ${rest} more` : names.join(', ');
}
