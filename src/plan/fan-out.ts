import { type CelValue, toCel } from './cel-types.ts';
import { evaluateWritten, type Values } from './evaluate.ts';
import { evaluateExpression } from './expressions.ts';
import { splitText } from './interpolation.ts';
import { type Problem, problemAt } from './problems.ts';
import { describeWritten, type Written } from './written.ts';

/** More members than this are a mistake in an expression; ten times the OSDs of the largest clusters. */
const mostMembers = 100_000;

/** Evaluate what a for-each goes over; its elements stay in the expression language, so that they keep their types. */
export function fanOut(over: Written, values: Values, problems: Problem[]): readonly CelValue[] {
  const list = listOf(over, values, problems);
  if (list === undefined) return [];
  if (list.length <= mostMembers) return list;
  const message = `for-each goes over ${list.length} values: expected at most ${mostMembers}`;
  problems.push(problemAt(over.place, message));
  return [];
}

function listOf(over: Written, values: Values, problems: Problem[]): readonly CelValue[] | undefined {
  if (over.kind === 'list') {
    return over.items.map((item) => toCel(evaluateWritten(item, values, problems), 'dyn'));
  }
  const split = over.kind === 'scalar' ? splitText(String(over.value)) : undefined;
  const [only] = split && split.fault === undefined && split.parts.length === 1 ? split.parts : [];
  if (only?.kind === 'expression') {
    const result = evaluateExpression(only.source, values.names);
    if (result.fault) {
      problems.push(problemAt(over.place, result.fault.message, only.offset + result.fault.offset));
      return undefined;
    }
    if (Array.isArray(result.value)) return result.value as readonly CelValue[];
  }
  problems.push(problemAt(over.place, `for-each goes over ${describeWritten(over)}: expected a list`));
  return undefined;
}

/** A value longer than this makes no readable id. */
const longestName = 40;

/** Name the members of a group: an identity's name, a short value itself, else the number of the member; each once. */
export function memberNames(values: readonly CelValue[]): readonly string[] {
  const taken = new Set<string>();
  return values.map((value, index) => {
    const wanted = nameOf(value);
    const name = wanted === undefined || taken.has(wanted) ? String(index) : wanted;
    const free = taken.has(name) ? `${name}-${index}` : name;
    taken.add(free);
    return free;
  });
}

function nameOf(value: CelValue): string | undefined {
  const named = typeof value === 'object' && value !== null && 'name' in value ? value.name : value;
  const text = typeof named === 'string' || typeof named === 'bigint' ? String(named) : '';
  return text.length <= longestName && /^[\w.:/-]+$/.test(text) ? text : undefined;
}
