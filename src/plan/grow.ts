import { CephflowError } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import { readParam } from '../task/params.ts';
import type { Task } from '../task/task.ts';
import { type CelValue, fromCel, toCel } from './cel-types.ts';
import { closeExpression, evaluateExpression, evaluateLate, usesOfOutputs } from './expressions.ts';
import { memberNames } from './fan-out.ts';
import type { Outputs } from './fill.ts';
import { hashSteps } from './hash.ts';
import { splitText } from './interpolation.ts';
import { mergeLocks } from './locks.ts';
import { isLateValue, type PlanGroup, type PlanLock, type PlanStep, type StepExpansion } from './plan.ts';
import { judgeSharedName } from './read-settings.ts';
import { titleOf } from './titles.ts';

/**
 * Be what an expand step appends to its run. `steps` come to stand at `firstIndex` and after, `groups` at the number of
 * groups that there were; edges and places count from the beginning of the run. `hash`: SHA-256 as of a plan, over
 * `{ groups }` and the steps.
 */
export interface Growth {
  readonly hash: string;
  readonly steps: readonly PlanStep[];
  readonly groups: readonly PlanGroup[];
}

/** Say where a growth comes to stand. */
export interface GrowthPlace {
  /** Index of the expand step. */
  readonly index: number;
  /** Number of steps that the run has. */
  readonly firstIndex: number;
  /** Number of groups that the run has. */
  readonly groups: number;
}

/**
 * Make the steps that an expand step appends, now that its list is known. The same step, place, outputs and tasks give
 * the same growth. What follows the expand step waits until all of these have ended; no edge leads from them to it.
 * @param outputs by the step's id, of at least those that `neededOutputs` names
 * @param tasks at least those that the expansion uses
 * @throws EXPANSION_INVALID when the output is no list, has more than `atMost` values, or a value does not fit
 * @throws EXPRESSION_FAILED when an output that the list is made of is not there
 */
export function growPlan(
  step: PlanStep,
  at: GrowthPlace,
  outputs: Outputs,
  tasks: ReadonlyMap<string, { readonly task: Task }>,
): Growth {
  const { expansion } = step;
  if (!expansion) throw new CephflowError('INTERNAL', `${step.id} is no expand step`);
  const values = listOf(step, expansion, outputs).map((value) => toCel(value, 'dyn'));
  const names = memberNames(values);
  const { maxParallel, groups: inner = [] } = expansion;
  const isLimited = maxParallel !== undefined && values.length > 0;
  const steps: PlanStep[] = [];
  const groups: PlanGroup[] = [];
  if (isLimited) {
    const size = expansion.steps.filter(({ kind }) => kind !== 'barrier').length;
    groups.push({ id: step.id, maxParallel, memberSizes: values.map(() => size) });
  }
  const faults: string[] = [];
  for (const [number, value] of values.entries()) {
    const member: Member = {
      step,
      name: names[number] ?? String(number),
      names: { [expansion.variable]: value },
      ids: new Map(expansion.steps.map(({ id }) => [id, `${id}@${names[number]}`])),
      first: at.firstIndex + steps.length,
      groups: at.groups + groups.length,
      own: isLimited ? [{ group: at.groups, member: number }] : [],
      faults,
    };
    for (const { id, ...group } of inner) groups.push({ id: `${id}@${member.name}`, ...group });
    for (const template of expansion.steps) steps.push(growStep(template, member, at, tasks));
  }
  refuseFaults(step, faults);
  return { hash: hashSteps({ groups }, steps), steps, groups };
}

function listOf(step: PlanStep, { over, atMost }: StepExpansion, outputs: Outputs): readonly Json[] {
  const cel = Object.fromEntries(Object.entries(outputs).map(([id, output]) => [id, toCel(output, 'dyn')]));
  const list = evaluateLate(over.$expression, cel);
  const refuse = (what: string) =>
    new CephflowError('EXPANSION_INVALID', `${step.id} goes over ${over.$expression}, which is ${what}`, {
      hint: 'an earlier step returned it; mend that step or the playbook, and make a new plan',
    });
  if (!Array.isArray(list)) throw refuse(`${describe(list)}: expected a list`);
  if (list.length > atMost) throw refuse(`a list of ${list.length} values: expected at most ${atMost}`);
  return list as readonly Json[];
}

interface Member {
  readonly step: PlanStep;
  readonly name: string;
  /** The variable's value. */
  readonly names: Readonly<Record<string, CelValue>>;
  /** Ids of this member by those of the expansion. */
  readonly ids: ReadonlyMap<string, string>;
  /** Index in the run of its first step. */
  readonly first: number;
  /** Number of groups in the run before its own. */
  readonly groups: number;
  /** Its place in the group of all members. */
  readonly own: PlanStep['places'];
  readonly faults: string[];
}

function growStep(
  template: PlanStep,
  member: Member,
  at: GrowthPlace,
  tasks: ReadonlyMap<string, { readonly task: Task }>,
): PlanStep {
  const { when, locks, ...rest } = template;
  const after = template.after.map((index) => index + member.first);
  const inner = template.places.map((place) => ({ ...place, group: place.group + member.groups }));
  const id = member.ids.get(template.id) ?? template.id;
  const grown: PlanStep = {
    ...rest,
    id,
    part: member.step.part,
    after: after.length > 0 ? after : [at.index],
    // what only joins others needs no place
    places: template.kind === 'barrier' ? [] : [...member.own, ...inner],
    ...growCondition(when, id, member),
    ...(locks ? { locks: mergeLocks(locks.map((lock) => growLock(lock, id, member))) } : {}),
  };
  const task = template.task === undefined ? undefined : tasks.get(template.task)?.task;
  if (!task) {
    if (template.task !== undefined) member.faults.push(`${id}: there is no task ${template.task}`);
    return grown;
  }
  const values = growValues(template, id, task, member);
  return { ...grown, with: values, title: titleOf(task, values) };
}

function growCondition(when: string | undefined, id: string, member: Member): { readonly when?: string } {
  if (when === undefined) return {};
  const condition = growSource(when, id, member);
  if ('late' in condition) return { when: condition.late };
  if (typeof condition.value === 'boolean') return condition.value ? {} : { when: 'false' };
  member.faults.push(`${id}: when is ${describe(condition.value)}: expected true or false`);
  return {};
}

function growLock({ name, capacity }: PlanLock, id: string, member: Member): PlanLock {
  const split = splitText(name);
  const parts = split.fault === undefined ? split.parts : [];
  const texts = parts.map((part) => {
    if (part.kind === 'literal') return part.text;
    const grown = growSource(part.source, id, member);
    return 'value' in grown && !isLateValue(grown.value) ? textOf(grown.value) : '';
  });
  const grown = texts.join('');
  const fault = judgeSharedName(grown);
  if (fault !== undefined) member.faults.push(`${id}: lock: ${fault}`);
  return { name: grown, capacity };
}

function textOf(value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function growValues(template: PlanStep, id: string, task: Task, member: Member): JsonObject {
  const values: Record<string, Json> = {};
  for (const [name, written] of Object.entries(template.with)) {
    const value = growValue(written, id, member);
    const param = task.params[name];
    // what was known when the plan was made has been read then, and what is still late is read when it is known
    const isKnownNow = holdsLate(written) && !holdsLate(value);
    const reading = param && isKnownNow ? readParam(param, value) : { value };
    values[name] = 'value' in reading ? reading.value : value;
    if ('expected' in reading) {
      member.faults.push(`${id}: ${name} is ${describe(value)}: expected ${reading.expected}`);
    }
  }
  return values;
}

function holdsLate(value: Json): boolean {
  if (isLateValue(value)) return true;
  if (Array.isArray(value)) return value.some(holdsLate);
  return isJsonObject(value) && Object.values(value).some(holdsLate);
}

function growValue(value: Json, id: string, member: Member): Json {
  if (isLateValue(value)) {
    const grown = growSource(value.$expression, id, member);
    return 'late' in grown ? { $expression: grown.late } : grown.value;
  }
  if (Array.isArray(value)) return value.map((item: Json) => growValue(item, id, member));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, growValue(item, id, member)]));
}

/** Fill the variable into an expression; one that uses outputs stays late, those of its member under their ids in the run. */
function growSource(
  source: string,
  id: string,
  { names, ids, faults }: Member,
): { readonly value: Json } | { readonly late: string } {
  const fail = (fault: string) => {
    faults.push(`${id}: ${source} cannot be evaluated: ${fault}`);
    return { value: null };
  };
  if (usesOfOutputs(source).length > 0) {
    const closed = closeExpression(source, names, (step) => ids.get(step) ?? step);
    return 'fault' in closed ? fail(closed.fault.message) : { late: closed.text };
  }
  const result = evaluateExpression(source, names);
  if (result.fault) return fail(result.fault.message);
  const left = fromCel(result.value);
  return 'fault' in left ? fail(left.fault) : left;
}

/** More mistakes than this are the same one in every member. */
const mostFaults = 10;
/** A value longer than this does not help in a sentence. */
const longestValue = 200;

function refuseFaults(step: PlanStep, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const lines = faults.slice(0, mostFaults);
  if (faults.length > mostFaults) lines.push(`and ${faults.length - mostFaults} more`);
  throw new CephflowError('EXPANSION_INVALID', `${step.id} cannot be expanded:\n${lines.join('\n')}`, {
    hint: 'an earlier step returned these values; mend that step or the playbook, and make a new plan',
  });
}

function describe(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= longestValue ? text : `${text.slice(0, longestValue)}…`;
}
