/**
 * Lay out rows in columns for people, without a frame and without colour.
 * @param head column titles, in capitals by custom
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [head, ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Write a value as the stable JSON output: two spaces, so that people can read it as well. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}
