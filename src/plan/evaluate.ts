import type { Json } from '../base/json.ts';
import { type CelValue, fromCel } from './cel-types.ts';
import {
  closeExpression,
  type ExpressionFault,
  evaluateExpression,
  usesOfName,
  usesOfOutputs,
} from './expressions.ts';
import { splitText, type TextPart } from './interpolation.ts';
import type { LateValue } from './plan.ts';
import { type Problem, problemAt } from './problems.ts';
import { plainJson, type Written, type WrittenText } from './written.ts';

/** Give the values that expressions of one place use, and how ids of steps are called in the plan. */
export interface Values {
  readonly names: Readonly<Record<string, CelValue>>;
  readonly planIdOf: (step: string) => string;
  /** A variable without a value yet: what names it stays late, as what uses outputs does. */
  readonly late?: string;
}

/** Fill the expressions of a value in; those that use outputs stay as late values. Mistakes are added to `problems`. */
export function evaluateWritten(written: Written, values: Values, problems: Problem[]): Json {
  if (written.kind === 'list') return written.items.map((item) => evaluateWritten(item, values, problems));
  if (written.kind === 'map') {
    const filled = written.entries.map(({ key, value }) => [key, evaluateWritten(value, values, problems)]);
    return Object.fromEntries(filled) as Json;
  }
  if (typeof written.value !== 'string') return plainJson(written);
  return evaluateText({ text: written.value, place: written.place }, values, problems);
}

/** Fill the expressions of a text in. A text that is one expression keeps the expression's type. */
export function evaluateText(written: WrittenText, values: Values, problems: Problem[]): Json {
  const { text, place } = written;
  const split = splitText(text);
  if (split.fault !== undefined) {
    problems.push(problemAt(place, split.fault, split.offset));
    return null;
  }
  const filled = fillParts(split.parts, values);
  if ('fault' in filled) {
    problems.push(problemAt(place, filled.fault.message, filled.fault.offset));
    return null;
  }
  return filled.value;
}

/** Be the state of a condition when the plan is made: known, or CEL to be asked when the step is ready. */
export type Condition = { readonly isTrue: boolean } | { readonly later: string };

/** Evaluate a condition as far as it can be known now. */
export function evaluateCondition(
  source: string,
  values: Values,
): Condition | { readonly fault: ExpressionFault } {
  const result = fillExpression(source, values);
  if ('fault' in result) return result;
  if ('late' in result) return { later: result.late };
  if (typeof result.value === 'boolean') return { isTrue: result.value };
  return { fault: { message: 'when is neither true nor false', offset: 0 } };
}

type Filled = { readonly value: CelValue } | { readonly late: string } | { readonly fault: ExpressionFault };

function fillExpression(source: string, values: Values): Filled {
  if (!isLate(source, values)) {
    const result = evaluateExpression(source, values.names);
    return result.fault ? { fault: result.fault } : { value: result.value };
  }
  const closed = closeExpression(source, values.names, values.planIdOf);
  return 'fault' in closed ? closed : { late: closed.text };
}

function isLate(source: string, { late }: Values): boolean {
  if (usesOfOutputs(source).length > 0) return true;
  return late !== undefined && usesOfName(source, late).length > 0;
}

type FilledText = { readonly value: Json } | { readonly fault: ExpressionFault };

function fillParts(parts: readonly TextPart[], values: Values): FilledText {
  const [only] = parts;
  if (parts.length === 1 && only?.kind === 'expression') return fillWhole(only.source, only.offset, values);
  const pieces: Piece[] = [];
  for (const part of parts) {
    if (part.kind === 'literal') {
      pieces.push({ text: part.text, isLate: false });
      continue;
    }
    // The language's own string() knows how its numbers are written, now and later.
    const filled = fillExpression(`string(${part.source})`, values);
    if ('fault' in filled) {
      const offset = Math.max(0, filled.fault.offset - 'string('.length) + part.offset;
      return { fault: { message: filled.fault.message, offset } };
    }
    pieces.push(
      'late' in filled ? { text: filled.late, isLate: true } : { text: String(filled.value), isLate: false },
    );
  }
  if (pieces.every(({ isLate }) => !isLate)) return { value: pieces.map(({ text }) => text).join('') };
  return { value: lateValue(joinPieces(pieces)) };
}

interface Piece {
  readonly text: string;
  readonly isLate: boolean;
}

/** Write pieces as one expression; known ones beside one another become one literal. */
function joinPieces(pieces: readonly Piece[]): string {
  const sources: string[] = [];
  let literal = '';
  for (const { text, isLate } of pieces) {
    if (!isLate) literal += text;
    else {
      if (literal !== '') sources.push(JSON.stringify(literal));
      literal = '';
      sources.push(text);
    }
  }
  if (literal !== '') sources.push(JSON.stringify(literal));
  return sources.join(' + ');
}

function fillWhole(source: string, offset: number, values: Values): FilledText {
  const filled = fillExpression(source, values);
  if ('fault' in filled) return { fault: { ...filled.fault, offset: filled.fault.offset + offset } };
  if ('late' in filled) return { value: lateValue(filled.late) };
  const left = fromCel(filled.value);
  return 'fault' in left ? { fault: { message: left.fault, offset } } : left;
}

function lateValue(expression: string): LateValue & { readonly [key: string]: Json } {
  return { $expression: expression };
}
