import type { Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import { type Place, type Problem, problemAt } from './problems.ts';

/** Be a value of a YAML file with the place of each of its parts. */
export type Written = WrittenScalar | WrittenList | WrittenMap;

/** Be a text, number, boolean or nothing. */
interface WrittenScalar {
  readonly kind: 'scalar';
  readonly value: null | boolean | number | string;
  readonly place: Place;
}

/** Be a list. */
interface WrittenList {
  readonly kind: 'list';
  readonly items: readonly Written[];
  readonly place: Place;
}

/** Be a mapping, in the order of the file. */
export interface WrittenMap {
  readonly kind: 'map';
  readonly entries: readonly WrittenEntry[];
  readonly place: Place;
}

/** Be one key of a mapping with its value. */
export interface WrittenEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly value: Written;
}

/** Forget the places of a value. */
export function plainJson(written: Written): Json {
  if (written.kind === 'scalar') return written.value;
  if (written.kind === 'list') return written.items.map(plainJson);
  return Object.fromEntries(written.entries.map(({ key, value }) => [key, plainJson(value)]));
}

/** Name what a value is, for people. */
export function describeWritten(written: Written): string {
  if (written.kind === 'list') return 'a list';
  if (written.kind === 'map') return 'a mapping';
  if (written.value === null) return 'nothing';
  return typeof written.value === 'string' ? `"${written.value}"` : String(written.value);
}

/**
 * Take the known keys of a mapping; whatever else stands there is a problem, with the nearest right name.
 * `what`: the thing with an article, such as `a step`.
 */
export function takeFields(
  written: Written,
  known: readonly string[],
  what: string,
  problems: Problem[],
): ReadonlyMap<string, WrittenEntry> {
  if (written.kind !== 'map') {
    problems.push(
      problemAt(
        written.place,
        `${describeWritten(written)} is not ${what}: expected a mapping with ${known.join(', ')}`,
      ),
    );
    return new Map();
  }
  for (const { key, keyPlace } of written.entries) {
    if (known.includes(key)) continue;
    const expected = `expected one of ${known.join(', ')}.${didYouMean(key, known)}`;
    problems.push(problemAt(keyPlace, `unknown key "${key}" in ${what}: ${expected}`));
  }
  return new Map(written.entries.map((entry) => [entry.key, entry]));
}

/** Take a text; a problem and undefined where the value is none. `what`: the key's name. */
export function takeText(
  written: Written | undefined,
  what: string,
  problems: Problem[],
): WrittenText | undefined {
  if (written === undefined) return undefined;
  if (written.kind === 'scalar' && typeof written.value === 'string' && written.value !== '') {
    return { text: written.value, place: written.place };
  }
  problems.push(problemAt(written.place, `${what} is ${describeWritten(written)}: expected a text`));
  return undefined;
}

/** Be a text with its place. */
export interface WrittenText {
  readonly text: string;
  readonly place: Place;
}

/** Take the items of a list; a problem and [] where the value is none. */
export function takeList(
  written: Written | undefined,
  what: string,
  problems: Problem[],
): readonly Written[] {
  if (written === undefined) return [];
  if (written.kind === 'list') return written.items;
  problems.push(problemAt(written.place, `${what} is ${describeWritten(written)}: expected a list`));
  return [];
}
