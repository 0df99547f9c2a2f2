import { isJsonObject, type Json } from '../base/json.ts';
import type { Task } from '../task/task.ts';
import { type Canvas, chain, type ExpandCanvas, group, type StepCanvas } from './canvas.ts';
import type { CelValue } from './cel-types.ts';
import { isCount } from './check.ts';
import { conditionSource } from './check-values.ts';
import { evaluateCondition, evaluateText, evaluateWritten, type Values } from './evaluate.ts';
import { lateListOf } from './expansion.ts';
import { fanOut, memberNames } from './fan-out.ts';
import { mergeLocks } from './locks.ts';
import { PlacedItems } from './placed-items.ts';
import { isLateValue, type PlanLock } from './plan.ts';
import {
  allItems,
  type GroupItem,
  type IncludeItem,
  type Item,
  loopsOf,
  type Playbook,
  type StepItem,
  type StepSettings,
  type WrittenLock,
} from './playbook.ts';
import { type Place, type Problem, problemAt } from './problems.ts';
import { judgeSharedName } from './read-settings.ts';
import { readParamValues, type ValueFault } from './read-values.ts';
import { resolveValue, type Surroundings } from './resolve.ts';
import type { Written } from './written.ts';

/** Be a playbook with its values filled in and its groups fanned out. */
export interface Expanded {
  readonly main: Canvas;
  readonly atEnd: readonly Canvas[];
  readonly locks: readonly PlanLock[];
}

/** What an expansion looks things up in; `faults` takes what is wrong with values. */
export interface Expansion extends Surroundings {
  readonly tasks: ReadonlyMap<string, { readonly task: Task }>;
  readonly playbooks: ReadonlyMap<string, Playbook>;
  readonly faults: ValueFault[];
  /** Settings of a playbook that includes this one: its steps have them unless they, or it, say otherwise. */
  readonly defaults?: Playbook['defaults'];
}

/** Expand a checked playbook with the values of its parameters. `prefix`: of the ids in the plan, '' at the top. */
export function expandPlaybook(
  playbook: Playbook,
  params: Readonly<Record<string, CelValue>>,
  expansion: Expansion,
  prefix = '',
): Expanded {
  const all = [...playbook.steps, ...playbook.finally];
  const loops = loopsOf(all);
  const instance: Instance = {
    ...expansion,
    playbook: playbook.name,
    prefix,
    loops,
    placed: new PlacedItems(loops, namesIn(all)),
    locks: [],
    atEnd: [],
    defaults: { ...expansion.defaults, ...playbook.defaults },
    settings: new Map(),
  };
  const scope: Scope = { names: { params }, members: [], locks: noLocks };
  instance.locks.push(...expandLocks(playbook.locks, scope, instance));
  const main = chain(...playbook.steps.map((item) => expandItem(item, scope, instance)));
  const own = chain(...playbook.finally.map((item) => expandItem(item, scope, instance)));
  instance.placed.tie();
  const atEnd = playbook.finally.length > 0 ? [own, ...instance.atEnd] : instance.atEnd;
  return { main, atEnd, locks: instance.locks };
}

function namesIn(items: readonly Item[]): readonly string[] {
  return allItems(items).flatMap(({ after = [] }) => after.map(({ text }) => text));
}

interface Instance extends Expansion {
  readonly playbook: string;
  readonly defaults: Playbook['defaults'];
  /** Settings of each step that do not depend on its member: all members share them. */
  readonly settings: Map<StepItem, StepSettings>;
  readonly prefix: string;
  readonly loops: ReadonlyMap<string, readonly string[]>;
  readonly placed: PlacedItems;
  readonly locks: PlanLock[];
  /** What included playbooks do at the end. */
  readonly atEnd: Canvas[];
}

interface Scope {
  readonly names: Readonly<Record<string, CelValue>>;
  /** Names of the members of the for-each groups around, outermost first; '' for an expansion, which has none yet. */
  readonly members: readonly string[];
  /** What the groups around hold for each of their steps. */
  readonly locks: readonly PlanLock[];
  /** Variable of the expansion around. */
  readonly late?: string;
}

const noLocks: readonly PlanLock[] = [];

function expandItem(item: Item, scope: Scope, instance: Instance): Canvas {
  const id = planId(item.id, scope.members, instance);
  const after = item.after
    ? {
        after: instance.placed.wait(
          item.id,
          scope.members,
          item.after.map(({ text }) => text),
        ),
      }
    : {};
  instance.placed.add(item.id, scope.members, id);
  if (item.kind === 'step') return { ...expandStep(item, scope, instance), id, ...after };
  if (item.kind === 'playbook') return { ...expandInclude(item, id, scope, instance), id, ...after };
  if (item.kind === 'group') return { ...expandGroup(item, id, scope, instance), id, ...after };
  return { ...chain(...item.steps.map((inner) => expandItem(inner, scope, instance))), id, ...after };
}

function planId(id: string, members: readonly string[], instance: Instance): string {
  const depth = instance.loops.get(id)?.length ?? 0;
  const named = members.slice(0, depth).filter((name) => name !== '');
  return [`${instance.prefix}${id}`, ...named].join('@');
}

function valuesOf({ names, members, late }: Scope, instance: Instance): Values {
  const planIdOf = (step: string) => planId(step, members, instance);
  return late === undefined ? { names, planIdOf } : { names, planIdOf, late };
}

function expandLocks(locks: readonly WrittenLock[], scope: Scope, instance: Instance): readonly PlanLock[] {
  return locks.flatMap(({ name, capacity }) => {
    const problems: Problem[] = [];
    const text = evaluateText(name, valuesOf(scope, instance), problems);
    keepProblems(instance, problems);
    if (problems.length > 0) return [];
    if (isLateValue(text)) return [{ name: `\${${text.$expression}}`, capacity }];
    const fault = judgeSharedName(String(text));
    if (fault !== undefined) addFault(instance, name.place, `lock: ${fault}`, 'EXPRESSION_FAILED');
    const lock = { name: String(text), capacity };
    return [scope.late === undefined ? lock : quoteLock(lock)];
  });
}

/** In an expansion a lock's name is read once more when its step is appended: no text in it may look like an expression. */
function quoteLock({ name, capacity }: PlanLock): PlanLock {
  return { name: name.split('${').join('$${'), capacity };
}

function keepProblems(instance: Instance, problems: readonly Problem[]): void {
  for (const { file, line, column, message } of problems) {
    instance.faults.push({ code: 'EXPRESSION_FAILED', message: `${file}:${line}:${column}  ${message}` });
  }
}

function expandStep(item: StepItem, scope: Scope, instance: Instance): StepCanvas {
  const params = instance.tasks.get(item.task.text)?.task.params ?? {};
  const values: Record<string, Json> = {};
  for (const [name, param] of Object.entries(params)) {
    const entry = item.with.find(({ key }) => key === name);
    const problems: Problem[] = [];
    const value = entry && evaluateWritten(entry.value, valuesOf(scope, instance), problems);
    keepProblems(instance, problems);
    if (problems.length > 0) continue;
    if (value !== undefined && holdsLate(value)) {
      values[name] = value;
      continue;
    }
    const resolved = resolveValue(param, value, instance);
    if (resolved.message === undefined) values[name] = resolved.value;
    else addFault(instance, entry?.value.place ?? item.place, `${name}: ${resolved.message}`, resolved.code);
  }
  const when = item.when ? expandWhen(item.when, scope, instance) : {};
  const settings = settingsOf(item, scope, instance);
  return { canvas: 'step', task: item.task.text, with: values, settings, ...when };
}

function settingsOf(item: StepItem, scope: Scope, instance: Instance): StepSettings {
  let settings = instance.settings.get(item);
  if (!settings) {
    const { rate, ...options } = item.options;
    const named = rate && { rate: { name: `${instance.playbook}/${item.id}`, ...rate } };
    settings = { ...instance.defaults, ...options, ...named };
    instance.settings.set(item, settings);
  }
  if (item.locks.length === 0 && scope.locks.length === 0) return settings;
  return { ...settings, locks: mergeLocks([...scope.locks, ...expandLocks(item.locks, scope, instance)]) };
}

function addFault(instance: Instance, place: Place, message: string, code: ValueFault['code']): void {
  const { file, line, column } = problemAt(place, message);
  instance.faults.push({ code, message: `${file}:${line}:${column}  ${message}` });
}

/** Tell whether a value, or something in it, is filled in only when its step is ready. */
export function holdsLate(value: Json): boolean {
  if (isLateValue(value)) return true;
  if (Array.isArray(value)) return value.some(holdsLate);
  return isJsonObject(value) && Object.values(value).some(holdsLate);
}

function expandWhen(
  when: NonNullable<StepItem['when']>,
  scope: Scope,
  instance: Instance,
): { readonly when?: string } {
  const { source, offset } = conditionSource(when.text);
  const condition = evaluateCondition(source, valuesOf(scope, instance));
  if ('fault' in condition) {
    const { message } = condition.fault;
    keepProblems(instance, [problemAt(when.place, message, offset + condition.fault.offset)]);
    return {};
  }
  if ('later' in condition) return { when: condition.later };
  // The step stays in the plan, so that a person sees that it is left out.
  return condition.isTrue ? {} : { when: 'false' };
}

function expandInclude(item: IncludeItem, id: string, scope: Scope, instance: Instance): Canvas {
  const included = instance.playbooks.get(item.playbook.text);
  if (!included) return chain();
  const given: Record<string, Json> = {};
  const problems: Problem[] = [];
  for (const { key, value } of item.with) {
    given[key] = evaluateWritten(value, valuesOf(scope, instance), problems);
  }
  keepProblems(instance, problems);
  if (problems.length > 0) return chain();
  const { cel, faults } = readParamValues(included, given, instance);
  for (const { code, message } of faults) addFault(instance, item.place, message, code);
  if (faults.length > 0) return chain();
  const inner = expandPlaybook(included, { ...cel }, instance, `${id}/`);
  instance.locks.push(...inner.locks);
  instance.atEnd.push(...inner.atEnd);
  return inner.main;
}

function expandGroup(item: GroupItem, id: string, scope: Scope, instance: Instance): Canvas {
  const maxParallel = readCount(item.maxParallel, 'max-parallel', scope, instance);
  const options = maxParallel === undefined ? {} : { maxParallel };
  const { forEach } = item;
  if (!forEach) {
    const inner = lockedScope(item, scope, instance);
    return group(
      item.steps.map((one) => expandItem(one, inner, instance)),
      options,
    );
  }
  if (lateListOf(forEach.over) !== undefined) {
    return { ...expandLater(item, forEach, scope, instance), id, ...options };
  }
  const problems: Problem[] = [];
  const values = fanOut(forEach.over, valuesOf(scope, instance), problems);
  keepProblems(instance, problems);
  const names = memberNames(values);
  const members = values.map((value, index) => {
    const bound = {
      ...scope,
      names: { ...scope.names, [forEach.variable]: value },
      members: [...scope.members, names[index] ?? String(index)],
    };
    const inner = lockedScope(item, bound, instance);
    return chain(...item.steps.map((one) => expandItem(one, inner, instance)));
  });
  return group(members, options);
}

function lockedScope(item: GroupItem, scope: Scope, instance: Instance): Scope {
  if (item.locks.length === 0) return scope;
  return { ...scope, locks: [...scope.locks, ...expandLocks(item.locks, scope, instance)] };
}

/** Expand one member of a list that only an output tells: whatever names its variable stays late. */
function expandLater(
  item: GroupItem,
  { variable, over }: NonNullable<GroupItem['forEach']>,
  scope: Scope,
  instance: Instance,
): Omit<ExpandCanvas, 'id'> {
  const problems: Problem[] = [];
  const list = evaluateWritten(over, valuesOf(scope, instance), problems);
  keepProblems(instance, problems);
  const locks = scope.locks.map(quoteLock);
  const bound = { ...scope, members: [...scope.members, ''], late: variable, locks };
  const inner = lockedScope(item, bound, instance);
  return {
    canvas: 'expand',
    over: isLateValue(list) ? list.$expression : '[]',
    variable,
    atMost: readCount(item.atMost, 'at-most', scope, instance) ?? 1,
    member: chain(...item.steps.map((one) => expandItem(one, inner, instance))),
    settings: instance.defaults,
  };
}

function readCount(
  written: Written | undefined,
  key: string,
  scope: Scope,
  instance: Instance,
): number | undefined {
  if (!written) return undefined;
  const problems: Problem[] = [];
  const count = evaluateWritten(written, valuesOf(scope, instance), problems);
  if (problems.length === 0 && !isCount(count)) {
    const message = `${key} is ${JSON.stringify(count)}: expected a whole number of at least 1`;
    problems.push(problemAt(written.place, message));
  }
  keepProblems(instance, problems);
  return isCount(count) ? count : undefined;
}
