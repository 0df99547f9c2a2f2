import { didYouMean } from '../base/nearest.ts';
import { type Param, type Params, readParam } from '../task/params.ts';
import { celTypeOf, describeType, fitsKind } from './cel-types.ts';
import {
  checkExpression,
  type ExpressionFault,
  type Names,
  type OutputUse,
  usesOfName,
} from './expressions.ts';
import { splitText } from './interpolation.ts';
import type { PlaybookParam } from './playbook.ts';
import { type Place, type Problem, problemAt } from './problems.ts';
import { describeWritten, plainJson, type Written, type WrittenEntry, type WrittenText } from './written.ts';

/**
 * Say what expressions may use where they stand. `judgeOutput` says in words what is wrong with naming an output,
 * `judgeLate` with naming the variable of an expansion.
 */
export interface ValueScope {
  readonly names: Names;
  readonly judgeOutput: (use: OutputUse) => string | undefined;
  readonly judgeLate: (use: Pick<OutputUse, 'text'>) => string | undefined;
  readonly problems: Problem[];
}

/** Refuse outputs of steps, and what follows from them, where a value must be known when the plan is made. */
export const knownEarly = (use: Pick<OutputUse, 'text'>): string =>
  `${use.text} is known only while the run is under way: expected what is known when the plan is made`;

/** Allow outputs, or what follows from them, where a value is needed only while the run is under way. */
export const knownLate = (): undefined => undefined;

/**
 * Check the values of a step or an included playbook against the parameters it takes. `what`: its name; `mayLack`: what
 * it lacks is not reported, because part of it could not be read.
 */
export function checkWith(
  entries: readonly WrittenEntry[],
  params: Params,
  owner: { readonly what: string; readonly place: Place; readonly mayLack?: boolean },
  scope: ValueScope,
): void {
  const known = Object.keys(params);
  for (const { key, keyPlace, value } of entries) {
    const param = Object.hasOwn(params, key) ? params[key] : undefined;
    if (param) checkValue(value, key, param, scope);
    else {
      const expected = known.length > 0 ? `expected one of ${known.join(', ')}` : 'it has none';
      const text = `${owner.what} has no parameter "${key}": ${expected}.${didYouMean(key, known)}`;
      scope.problems.push(problemAt(keyPlace, text));
      checkLoose(value, scope);
    }
  }
  for (const [name, param] of owner.mayLack ? [] : Object.entries(params)) {
    const isGiven = entries.some(({ key }) => key === name) || param.default !== undefined || param.optional;
    if (isGiven) continue;
    const text = `${owner.what} needs ${name}: expected a value (${param.kind}: ${param.about})`;
    scope.problems.push(problemAt(owner.place, text));
  }
}

/** Check the parameters that a playbook declares; a default may use those before it. */
export function checkParams(params: readonly PlaybookParam[], problems: Problem[]): Names {
  const types = new Map<string, string>();
  for (const { name, param, default: written, isUnclear } of params) {
    const scope: ValueScope = {
      names: { params: new Map(types), variables: new Map() },
      judgeOutput: knownEarly,
      judgeLate: knownEarly,
      problems,
    };
    if (written) checkValue(written, name, param, scope);
    types.set(name, isUnclear ? 'dyn' : celTypeOf(param.kind));
  }
  return { params: types, variables: new Map() };
}

/** Check one value against the kind of its parameter, as far as it can be known without a cluster. */
function checkValue(written: Written, name: string, param: Omit<Param, 'default'>, scope: ValueScope): void {
  const before = scope.problems.length;
  const watched = watchLate(scope);
  const type = checkLoose(written, watched.scope);
  if (scope.problems.length > before) return;
  if (type !== undefined) {
    const isNamedLate = watched.isLate() && lookedUp.includes(param.kind) && namingTypes.includes(type);
    if (fitsKind(type, param.kind) && !isNamedLate) return;
    const what = isNamedLate ? 'named only while the run is under way' : describeType(type);
    const text = `${name} is ${what}: expected ${describeKind(param)}`;
    scope.problems.push(problemAt(written.place, text));
    return;
  }
  const expected = expectedLiteral(written, param);
  if (expected === undefined) return;
  scope.problems.push(
    problemAt(written.place, `${name} is ${describeWritten(written)}: expected ${expected}`),
  );
}

/** Kinds whose names are looked up in the cluster, which is done only when the plan is made. */
const lookedUp: readonly string[] = ['node', 'osd', 'osds'];
/** Types that can only be names of these, never the identities themselves. */
const namingTypes: readonly string[] = ['string', 'int', 'list<string>', 'list<int>'];

/** Note whether a value that is checked uses anything late. */
function watchLate(scope: ValueScope): { readonly scope: ValueScope; readonly isLate: () => boolean } {
  let isLate = false;
  const judgeOutput = (use: OutputUse) => {
    isLate = true;
    return scope.judgeOutput(use);
  };
  const judgeLate = (use: Pick<OutputUse, 'text'>) => {
    isLate = true;
    return scope.judgeLate(use);
  };
  return { scope: { ...scope, judgeOutput, judgeLate }, isLate: () => isLate };
}

/**
 * Check the expressions in a value, whatever it is for.
 * @returns the type of a value that holds expressions, undefined for one that is all literal
 */
export function checkLoose(written: Written, scope: ValueScope): string | undefined {
  if (written.kind === 'scalar') {
    if (typeof written.value !== 'string') return undefined;
    return checkText({ text: written.value, place: written.place }, scope);
  }
  const parts = written.kind === 'list' ? written.items : written.entries.map(({ value }) => value);
  const types = parts.map((part) => checkLoose(part, scope));
  if (types.every((type) => type === undefined)) return undefined;
  return written.kind === 'list' ? 'list' : 'map';
}

/** Check a text with its expressions; returns its type, undefined where it holds no expression. */
export function checkText({ text, place }: WrittenText, scope: ValueScope): string | undefined {
  const split = splitText(text);
  if (split.fault !== undefined) {
    scope.problems.push(problemAt(place, split.fault, split.offset));
    return undefined;
  }
  let type: string | undefined;
  for (const part of split.parts) {
    if (part.kind === 'literal') continue;
    const found = checkSource(part.source, { place, offset: part.offset }, scope);
    type = split.parts.length === 1 ? found : 'string';
    if (split.parts.length > 1 && !isTextual(found)) {
      const message = `${describeType(found)} cannot stand inside a text: expected a text or a number, such as a name`;
      scope.problems.push(problemAt(place, message, part.offset));
    }
  }
  return type;
}

/** Check a condition: CEL, with or without `${…}` around it. */
export function checkCondition(when: WrittenText, scope: ValueScope): void {
  const { source, offset } = conditionSource(when.text);
  const type = checkSource(source, { place: when.place, offset }, scope);
  if (type === 'bool' || type === 'dyn') return;
  scope.problems.push(problemAt(when.place, `when is ${describeType(type)}: expected true or false`));
}

/** Take the expression out of a condition, which may stand inside `${…}` or alone. */
export function conditionSource(text: string): { readonly source: string; readonly offset: number } {
  const split = splitText(text);
  const [only] = split.fault === undefined && split.parts.length === 1 ? split.parts : [];
  return only?.kind === 'expression' ? only : { source: text, offset: 0 };
}

function checkSource(
  source: string,
  at: { readonly place: Place; readonly offset: number },
  scope: ValueScope,
): string {
  const add = (fault: ExpressionFault) =>
    scope.problems.push(problemAt(at.place, fault.message, at.offset + fault.offset));
  const checked = checkExpression(source, scope.names);
  if (checked.fault) {
    add(checked.fault);
    return 'dyn';
  }
  for (const use of checked.uses) {
    const message = scope.judgeOutput(use);
    if (message !== undefined) add({ message, offset: use.offset });
  }
  const { late } = scope.names;
  for (const use of late === undefined ? [] : usesOfName(source, late)) {
    const message = scope.judgeLate(use);
    if (message !== undefined) add({ message, offset: use.offset });
  }
  return checked.type;
}

function isTextual(type: string): boolean {
  return ['string', 'int', 'double', 'bool', 'dyn'].includes(type);
}

/** Names that only a cluster or the config can confirm: here their form is all that can be seen. */
function expectedLiteral(written: Written, param: Omit<Param, 'default'>): string | undefined {
  const value = plainJson(written);
  if (param.kind === 'node') return typeof value === 'string' ? undefined : 'the name of a node';
  if (param.kind === 'osd') {
    return typeof value === 'string' || Number.isInteger(value) ? undefined : 'an OSD such as osd.3';
  }
  if (param.kind === 'osds') {
    return typeof value === 'string' || Array.isArray(value)
      ? undefined
      : 'a list of OSDs such as [osd.3, osd.4]';
  }
  const reading = readParam(param, value);
  return 'expected' in reading ? reading.expected : undefined;
}

function describeKind(param: Omit<Param, 'default'>): string {
  const type = celTypeOf(param.kind);
  return `${type === 'dyn' ? param.kind : describeType(type)} (${param.about})`;
}
