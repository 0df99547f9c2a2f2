import { didYouMean } from '../base/nearest.ts';
import type { Param, Params } from '../task/params.ts';
import type { Task } from '../task/task.ts';
import { type Canvas, chain, group, step } from './canvas.ts';
import { elementType } from './cel-types.ts';
import {
  checkCondition,
  checkLoose,
  checkParams,
  checkText,
  checkWith,
  knownEarly,
  type ValueScope,
} from './check-values.ts';
import type { Names, OutputUse } from './expressions.ts';
import { buildGraph, type Graph } from './graph.ts';
import {
  allItems,
  type GroupItem,
  type IncludeItem,
  type Item,
  loopsOf,
  type Playbook,
  type StepItem,
} from './playbook.ts';
import { type Problem, problemAt } from './problems.ts';
import { describeWritten, plainJson, type WrittenText } from './written.ts';

/**
 * Check a playbook and those it includes without a cluster: tasks, parameters, kinds, names in expressions, order.
 * @returns everything that is wrong, in no particular order; [] means that only values and the cluster can refuse it
 */
export function checkPlaybook(
  playbook: Playbook,
  tasks: ReadonlyMap<string, Task>,
  includes: ReadonlyMap<string, Playbook>,
): readonly Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  const visit = (one: Playbook, path: readonly string[]) => {
    if (seen.has(one.name)) return;
    seen.add(one.name);
    checkOne(one, { tasks, includes, problems });
    for (const item of allItems([...one.steps, ...one.finally])) {
      if (item.kind !== 'playbook') continue;
      const name = item.playbook.text;
      if (name === playbook.name || path.includes(name)) {
        const text = `${name} includes itself: ${[...path, name].join(' → ')}`;
        problems.push(problemAt(item.playbook.place, text));
      }
      const included = includes.get(name);
      if (included) visit(included, [...path, name]);
    }
  };
  visit(playbook, [playbook.name]);
  return problems;
}

/** Give the parameters of a playbook in the form that tasks have, for checking what is passed to it. */
function paramsOf(playbook: Playbook): Params {
  return Object.fromEntries(
    playbook.params.map(({ name, param, default: written }): [string, Param] => [
      name,
      // An expression is no value yet, but the parameter need not be given.
      { ...param, ...(written ? { default: plainJson(written) } : {}) },
    ]),
  );
}

interface Known {
  readonly tasks: ReadonlyMap<string, Task>;
  readonly includes: ReadonlyMap<string, Playbook>;
  readonly problems: Problem[];
}

interface Check extends Known {
  readonly items: ReadonlyMap<string, Item>;
  readonly loops: ReadonlyMap<string, readonly string[]>;
  /** A step that is missed may stand where the playbook could not be read. */
  readonly isDraft: boolean;
  /** Ids of the steps whose outputs a step may use, by its id. */
  readonly ancestors: ReadonlyMap<string, ReadonlySet<string>>;
}

function checkOne(playbook: Playbook, known: Known): void {
  const { problems } = known;
  const names = checkParams(playbook.params, problems);
  const early: ValueScope = { names, judgeOutput: knownEarly, problems };
  for (const lock of playbook.locks) checkText(lock, early);
  const all = [...playbook.steps, ...playbook.finally];
  const isDraft = playbook.isDraft ?? false;
  const ancestors = new Map([
    ...ancestorsOf(playbook.steps, playbook.finally, { problems, isDraft }),
    ...ancestorsOf(playbook.finally, playbook.steps, { problems, isDraft }),
  ]);
  const main = allItems(playbook.steps).map(({ id }) => id);
  for (const { id } of allItems(playbook.finally)) {
    ancestors.set(id, new Set([...(ancestors.get(id) ?? []), ...main]));
  }
  const items = new Map(allItems(all).map((item) => [item.id, item]));
  const check: Check = { ...known, isDraft, items, loops: loopsOf(all), ancestors };
  for (const item of all) checkItem(item, names, check);
}

function checkItem(item: Item, names: Names, check: Check): void {
  if (item.kind === 'step') checkStep(item, names, check);
  else if (item.kind === 'playbook') checkInclude(item, names, check);
  else if (item.kind === 'chain') for (const inner of item.steps) checkItem(inner, names, check);
  else checkGroup(item, names, check);
}

function checkStep(item: StepItem, names: Names, check: Check): void {
  const judgeOutput = (use: OutputUse) => judgeUse(use, item, check);
  const scope: ValueScope = { names, judgeOutput, problems: check.problems };
  const { text, place } = item.task;
  const task = check.tasks.get(text);
  if (item.when) checkCondition(item.when, scope);
  if (task) {
    checkWith(item.with, task.params, { what: text, place, mayLack: item.isUnclear ?? false }, scope);
    return;
  }
  const guess = didYouMean(text, [...check.tasks.keys()]);
  check.problems.push(
    problemAt(place, `unknown task "${text}": expected a name that cephflow tasks lists.${guess}`),
  );
  for (const { value } of item.with) checkLoose(value, scope);
}

function checkInclude(item: IncludeItem, names: Names, check: Check): void {
  const scope: ValueScope = { names, judgeOutput: knownEarly, problems: check.problems };
  const { text, place } = item.playbook;
  const included = check.includes.get(text);
  if (included) {
    checkWith(item.with, paramsOf(included), { what: text, place }, scope);
    return;
  }
  const guess = didYouMean(text, [...check.includes.keys()]);
  const message = `unknown playbook "${text}": expected a name that cephflow playbooks lists.${guess}`;
  check.problems.push(problemAt(place, message));
}

function checkGroup(item: GroupItem, names: Names, check: Check): void {
  const { problems } = check;
  const scope: ValueScope = { names, judgeOutput: knownEarly, problems };
  if (item.maxParallel) {
    const type = checkLoose(item.maxParallel, scope);
    const isNumber =
      type === undefined ? isCount(plainJson(item.maxParallel)) : type === 'int' || type === 'dyn';
    if (!isNumber) {
      const what = describeWritten(item.maxParallel);
      const message = `max-parallel is ${what}: expected a whole number of at least 1`;
      problems.push(problemAt(item.maxParallel.place, message));
    }
  }
  const inner = item.forEach ? bindVariable(item.forEach, scope) : names;
  for (const step of item.steps) checkItem(step, inner, check);
}

/** Tell whether a value may limit a group. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}

function bindVariable(forEach: NonNullable<GroupItem['forEach']>, scope: ValueScope): Names {
  const { variable, place, over } = forEach;
  const { names, problems } = scope;
  if (names.variables.has(variable) || variable === 'params' || variable === 'steps') {
    const message = `the name ${variable} is taken already: expected another one for this variable`;
    problems.push(problemAt(place, message));
    return names;
  }
  const before = problems.length;
  const type = checkLoose(over, scope) ?? (over.kind === 'list' ? 'list' : 'a value');
  const element = elementType(type);
  if (element === undefined && problems.length === before) {
    problems.push(problemAt(over.place, `for-each goes over ${describeWritten(over)}: expected a list`));
  }
  return { ...names, variables: new Map([...names.variables, [variable, element ?? 'dyn']]) };
}

/** Say what is wrong with using an output in a step, if anything. */
function judgeUse(use: OutputUse, user: Item, check: Check): string | undefined {
  if (use.step === undefined || use.output === undefined) {
    return `${use.text} is no output of a step: expected steps.ID.output.NAME`;
  }
  const ancestors = [...(check.ancestors.get(user.id) ?? [])];
  const source = check.items.get(use.step);
  if (!source) {
    if (check.isDraft) return undefined;
    const known = ancestors.filter((id) => check.items.get(id)?.kind === 'step');
    return `there is no step ${use.step}: expected the id of a step before this one.${didYouMean(use.step, known)}`;
  }
  if (source.kind !== 'step') return `${use.step} is a ${source.kind}, which has no output: expected a step`;
  if (!ancestors.includes(use.step)) {
    return `${use.step} does not come before ${user.id}: expected a step that it waits for`;
  }
  const around = check.loops.get(user.id) ?? [];
  const outside = (check.loops.get(use.step) ?? []).some((loop, index) => around[index] !== loop);
  if (outside) return `${use.step} is done once for each member of a group: expected a step outside of it`;
  const task = check.tasks.get(source.task.text);
  const outputs = Object.keys(task?.output ?? {});
  if (!task || outputs.includes(use.output)) return undefined;
  const expected = outputs.length > 0 ? `expected one of ${outputs.join(', ')}` : 'it has none';
  return `${source.task.text} has no output ${use.output}: ${expected}.${didYouMean(use.output, outputs)}`;
}

/** Find for each item the steps that always come before it; wrong or circular `after` are problems. */
function ancestorsOf(
  items: readonly Item[],
  others: readonly Item[],
  { problems, isDraft }: { readonly problems: Problem[]; readonly isDraft: boolean },
): ReadonlyMap<string, ReadonlySet<string>> {
  const all = allItems(items);
  const elsewhere = new Set(allItems(others).map(({ id }) => id));
  const ids = all.map(({ id }) => id);
  const faults = all
    .flatMap(({ after }) => after ?? [])
    .flatMap((name) => {
      const message = judgeAfter(name, ids, elsewhere);
      return message === undefined ? [] : [problemAt(name.place, message)];
    });
  if (!isDraft) problems.push(...faults);
  if (faults.length > 0) return new Map(ids.map((id) => [id, new Set(ids)]));
  const built = buildGraph(chain(...items.map(templateOf)));
  if ('graph' in built) return collectAncestors(built.graph);
  const cycle = 'cycle' in built ? built.cycle.filter((id) => ids.includes(id)) : [];
  const first = all.find(({ id }) => cycle.includes(id)) ?? all[0];
  if (first) problems.push(problemAt(first.place, `these steps wait for one another: ${cycle.join(', ')}`));
  return new Map(ids.map((id) => [id, new Set(ids)]));
}

function judgeAfter(
  { text }: WrittenText,
  ids: readonly string[],
  elsewhere: ReadonlySet<string>,
): string | undefined {
  if (ids.includes(text)) return undefined;
  if (elsewhere.has(text)) {
    return `${text} stands in another part: steps and finally are tied only among themselves`;
  }
  return `there is no step "${text}": expected an id of this playbook.${didYouMean(text, ids)}`;
}

/** Draw the graph of a playbook with one member for each for-each and one vertex for each included playbook. */
function templateOf(item: Item): Canvas {
  const after = item.after ? { after: item.after.map(({ text }) => text) } : {};
  if (item.kind === 'step' || item.kind === 'playbook') return step(item.id, {}, { id: item.id, ...after });
  const inner = item.steps.map(templateOf);
  if (item.kind === 'chain') return { ...chain(...inner), id: item.id, ...after };
  return group(item.forEach ? [chain(...inner)] : inner, { id: item.id, ...after });
}

function collectAncestors(graph: Graph): ReadonlyMap<string, ReadonlySet<string>> {
  const sets: Set<string>[] = [];
  for (const { after } of graph.vertices) {
    const own = new Set<string>();
    for (const index of after) {
      for (const id of sets[index] ?? []) own.add(id);
      const vertex = graph.vertices[index];
      if (vertex?.step) own.add(vertex.id);
    }
    sets.push(own);
  }
  return new Map(graph.vertices.map(({ id }, index) => [id, sets[index] ?? new Set()]));
}
