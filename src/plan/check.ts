import { didYouMean } from '../base/nearest.ts';
import type { Param, Params } from '../task/params.ts';
import type { Task } from '../task/task.ts';
import { elementType } from './cel-types.ts';
import { ancestorsOf } from './check-order.ts';
import {
  checkCondition,
  checkLoose,
  checkParams,
  checkText,
  checkWith,
  knownEarly,
  knownLate,
  type ValueScope,
} from './check-values.ts';
import { expansionsAround, isExpansion } from './expansion.ts';
import type { Names, OutputUse } from './expressions.ts';
import { splitText } from './interpolation.ts';
import {
  allItems,
  type GroupItem,
  type IncludeItem,
  type Item,
  loopsOf,
  type Playbook,
  type StepItem,
  type WrittenLock,
} from './playbook.ts';
import { type Problem, problemAt } from './problems.ts';
import { judgeSharedName } from './read-settings.ts';
import { describeWritten, plainJson, type Written } from './written.ts';

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
  /** The expansion around each item that stands in one. */
  readonly expansions: ReadonlyMap<string, string>;
}

function checkOne(playbook: Playbook, known: Known): void {
  const { problems } = known;
  const names = checkParams(playbook.params, problems);
  checkLocks(playbook.locks, names, problems);
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
  const loops = loopsOf(all);
  const check: Check = { ...known, isDraft, items, loops, ancestors, expansions: expansionsAround(all) };
  for (const item of all) checkItem(item, names, check);
}

function checkItem(item: Item, names: Names, check: Check): void {
  if (item.kind === 'step') checkStep(item, names, check);
  else if (item.kind === 'playbook') checkInclude(item, names, check);
  else if (item.kind === 'chain') for (const inner of item.steps) checkItem(inner, names, check);
  else checkGroup(item, names, check);
}

/** Give the scope of what must be known when the plan is made. */
function earlyScope(names: Names, problems: Problem[]): ValueScope {
  return { names, judgeOutput: knownEarly, judgeLate: knownEarly, problems };
}

function checkLocks(locks: readonly WrittenLock[], names: Names, problems: Problem[]): void {
  // a member of an expansion takes its lock when it is there: its variable may stand in the name
  const scope: ValueScope = { ...earlyScope(names, problems), judgeLate: knownLate };
  for (const { name } of locks) {
    checkText(name, scope);
    const split = splitText(name.text);
    const [only, second] = split.fault === undefined ? split.parts : [];
    const fault = only?.kind === 'literal' && !second ? judgeSharedName(only.text) : undefined;
    if (fault !== undefined) problems.push(problemAt(name.place, fault));
  }
}

function checkStep(item: StepItem, names: Names, check: Check): void {
  const judgeOutput = (use: OutputUse) => judgeUse(use, item, check);
  const scope: ValueScope = { names, judgeOutput, judgeLate: knownLate, problems: check.problems };
  const { text, place } = item.task;
  const task = check.tasks.get(text);
  if (item.when) checkCondition(item.when, scope);
  checkLocks(item.locks, names, check.problems);
  if (task?.hold && check.expansions.has(item.id)) {
    const message = `${text} holds something until the run ends: expected it outside of the expansion`;
    check.problems.push(problemAt(place, message));
  }
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
  const scope = earlyScope(names, check.problems);
  const { text, place } = item.playbook;
  if (check.expansions.has(item.id)) {
    const message = `${text} is included in an expansion: expected its steps written out there`;
    check.problems.push(problemAt(place, message));
  }
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
  if (item.maxParallel) checkCount(item.maxParallel, 'max-parallel', earlyScope(names, problems));
  if (item.atMost) checkCount(item.atMost, 'at-most', earlyScope(names, problems));
  const inner = item.forEach ? checkForEach(item, item.forEach, names, check) : names;
  if (item.atMost && !isExpansion(item)) {
    const message = 'at-most stands where the members are known: expected it only beside a list of an output';
    problems.push(problemAt(item.atMost.place, message));
  }
  checkLocks(item.locks, inner, problems);
  for (const step of item.steps) checkItem(step, inner, check);
}

function checkCount(written: Written, key: string, scope: ValueScope): void {
  const type = checkLoose(written, scope);
  const isNumber = type === undefined ? isCount(plainJson(written)) : type === 'int' || type === 'dyn';
  if (isNumber) return;
  const message = `${key} is ${describeWritten(written)}: expected a whole number of at least 1`;
  scope.problems.push(problemAt(written.place, message));
}

function checkForEach(
  item: GroupItem,
  forEach: NonNullable<GroupItem['forEach']>,
  names: Names,
  check: Check,
): Names {
  const { problems } = check;
  if (!isExpansion(item)) return bindVariable(forEach, earlyScope(names, problems));
  const { over, variable } = forEach;
  if (check.expansions.has(item.id)) {
    const message =
      'for-each goes over an output, inside an expansion: expected a list known when the plan is made';
    problems.push(problemAt(over.place, message));
  } else if (!item.atMost && !item.isUnclear) {
    const message =
      'for-each goes over an output, whose length nobody knows yet: expected at-most, the most there may be';
    problems.push(problemAt(over.place, message));
  }
  const judgeOutput = (use: OutputUse) => judgeUse(use, item, check);
  const bound = bindVariable(forEach, { ...earlyScope(names, problems), judgeOutput });
  return bound === names ? names : { ...bound, late: variable };
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
