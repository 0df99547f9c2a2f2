import { isJsonObject, type Json } from '../base/json.ts';
import type { Task } from '../task/task.ts';
import { type Canvas, chain, group, type StepCanvas } from './canvas.ts';
import type { CelValue } from './cel-types.ts';
import { isCount } from './check.ts';
import { conditionSource } from './check-values.ts';
import { evaluateCondition, evaluateText, evaluateWritten, type Values } from './evaluate.ts';
import { fanOut, memberNames } from './fan-out.ts';
import { PlacedItems } from './placed-items.ts';
import { isLateValue, type PlanLock } from './plan.ts';
import {
  type GroupItem,
  type IncludeItem,
  type Item,
  loopsOf,
  type Playbook,
  type StepItem,
} from './playbook.ts';
import { type Place, type Problem, problemAt } from './problems.ts';
import { readParamValues, type ValueFault } from './read-values.ts';
import { resolveValue, type Surroundings } from './resolve.ts';

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
}

/** Expand a checked playbook with the values of its parameters. `prefix`: of the ids in the plan, '' at the top. */
export function expandPlaybook(
  playbook: Playbook,
  params: Readonly<Record<string, CelValue>>,
  expansion: Expansion,
  prefix = '',
): Expanded {
  const all = [...playbook.steps, ...playbook.finally];
  const instance: Instance = {
    ...expansion,
    prefix,
    loops: loopsOf(all),
    placed: new PlacedItems(loopsOf(all)),
    locks: [],
    atEnd: [],
  };
  const scope: Scope = { names: { params }, members: [] };
  for (const lock of playbook.locks) {
    const problems: Problem[] = [];
    const text = evaluateText(lock, valuesOf(scope, instance), problems);
    keepProblems(instance, problems);
    instance.locks.push({ name: String(text), capacity: 1 });
  }
  const main = chain(...playbook.steps.map((item) => expandItem(item, scope, instance)));
  const own = chain(...playbook.finally.map((item) => expandItem(item, scope, instance)));
  instance.placed.tie();
  const atEnd = playbook.finally.length > 0 ? [own, ...instance.atEnd] : instance.atEnd;
  return { main, atEnd, locks: instance.locks };
}

interface Instance extends Expansion {
  readonly prefix: string;
  readonly loops: ReadonlyMap<string, readonly string[]>;
  readonly placed: PlacedItems;
  readonly locks: PlanLock[];
  /** What included playbooks do at the end. */
  readonly atEnd: Canvas[];
}

interface Scope {
  readonly names: Readonly<Record<string, CelValue>>;
  /** Names of the members of the for-each groups around, outermost first. */
  readonly members: readonly string[];
}

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
  if (item.kind === 'group') return { ...expandGroup(item, scope, instance), id, ...after };
  return { ...chain(...item.steps.map((inner) => expandItem(inner, scope, instance))), id, ...after };
}

function planId(id: string, members: readonly string[], instance: Instance): string {
  const depth = instance.loops.get(id)?.length ?? 0;
  return [`${instance.prefix}${id}`, ...members.slice(0, depth)].join('@');
}

function valuesOf({ names, members }: Scope, instance: Instance): Values {
  return { names, planIdOf: (step) => planId(step, members, instance) };
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
  return { canvas: 'step', task: item.task.text, with: values, settings: item.options, ...when };
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

function expandGroup(item: GroupItem, scope: Scope, instance: Instance): Canvas {
  const limit = item.maxParallel ? readLimit(item, scope, instance) : undefined;
  const options = limit === undefined ? {} : { maxParallel: limit };
  const { forEach } = item;
  if (!forEach) {
    return group(
      item.steps.map((inner) => expandItem(inner, scope, instance)),
      options,
    );
  }
  const problems: Problem[] = [];
  const values = fanOut(forEach.over, valuesOf(scope, instance), problems);
  keepProblems(instance, problems);
  const names = memberNames(values);
  const members = values.map((value, index) => {
    const inner: Scope = {
      names: { ...scope.names, [forEach.variable]: value },
      members: [...scope.members, names[index] ?? String(index)],
    };
    return chain(...item.steps.map((one) => expandItem(one, inner, instance)));
  });
  return group(members, options);
}

function readLimit(item: GroupItem, scope: Scope, instance: Instance): number | undefined {
  if (!item.maxParallel) return undefined;
  const problems: Problem[] = [];
  const limit = evaluateWritten(item.maxParallel, valuesOf(scope, instance), problems);
  if (problems.length === 0 && !isCount(limit)) {
    const message = `max-parallel is ${JSON.stringify(limit)}: expected a whole number of at least 1`;
    problems.push(problemAt(item.maxParallel.place, message));
  }
  keepProblems(instance, problems);
  return isCount(limit) ? limit : undefined;
}
