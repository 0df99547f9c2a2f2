import { shorten, wrapWords } from './text.ts';

/** A last column narrower than this says nothing any more: then the lines are left to the terminal. */
const leastRoom = 6;

/** Say how a table fits a terminal. `width`: columns, absent where there is no terminal; `long`: what a long last cell becomes. */
export interface Fit {
  readonly width: number | undefined;
  readonly long: 'shortened' | 'wrapped';
}

/**
 * Lay out rows in columns for people, without a frame and without colour. Where it is wider than the terminal, the last
 * column is shortened with … or goes on in the next line.
 * @param head column titles, in capitals by custom
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[], fit?: Fit): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const last = head.length - 1;
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + gap.length, 0);
  const room = (fit?.width ?? Number.POSITIVE_INFINITY) - before;
  return [head, ...rows]
    .flatMap((row) => fitLast(row, last, room < leastRoom ? Number.POSITIVE_INFINITY : room, fit?.long))
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(gap))
    .map((line) => cutLine(line.trimEnd(), fit))
    .join('\n');
}

/** Where the other columns alone are too wide, the line is cut wherever that is. */
const cutLine = (line: string, fit: Fit | undefined) =>
  fit?.width !== undefined && fit.long === 'shortened' ? shorten(line, fit.width) : line;

const gap = '  ';

/** Write a value as the stable JSON output: two spaces, so that people can read it as well. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}

function fitLast(
  row: readonly string[],
  last: number,
  room: number,
  long: Fit['long'] | undefined,
): readonly (readonly string[])[] {
  const cell = row[last] ?? '';
  if (cell.length <= room) return [row];
  if (long !== 'wrapped') return [[...row.slice(0, last), shorten(cell, room)]];
  const empty = row.slice(0, last).map(() => '');
  return wrapWords(cell, room).map((line, index) => [...(index === 0 ? row.slice(0, last) : empty), line]);
}
