import { CephflowError } from '../base/errors.ts';

/**
 * Point into a playbook file. Lines and columns count from 1. `textColumn` is where the characters of a text begin,
 * present only where they stand in the file as they are (one line, no escapes), so that a place inside can be named.
 */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly textColumn?: number;
}

/** Describe one mistake in a playbook and where it stands. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What is wrong, what was expected, the nearest right name. */
  readonly message: string;
}

/** Make a problem at a place, or `offset` characters into the text that stands there. */
export function problemAt(place: Place, message: string, offset = 0): Problem {
  const column = place.textColumn === undefined ? place.column : place.textColumn + offset;
  return { file: place.file, line: place.line, column: offset === 0 ? place.column : column, message };
}

/** Write problems as lines `file:line:column  message`, in the order of the file, each once. */
export function formatProblems(problems: readonly Problem[]): string {
  const inOrder = problems.toSorted(
    (a, b) => compareFiles(a.file, b.file) || a.line - b.line || a.column - b.column,
  );
  const lines = inOrder.map((one) => `${one.file}:${one.line}:${one.column}  ${one.message}`);
  return [...new Set(lines)].join('\n');
}

/**
 * Refuse a playbook with all its problems; return where there are none.
 * @throws PLAYBOOK_INVALID listing every problem
 */
export function refuseProblems(name: string, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const list = formatProblems(problems);
  const count = list.split('\n').length;
  throw new CephflowError(
    'PLAYBOOK_INVALID',
    `playbook ${name} has ${count === 1 ? 'a mistake' : `${count} mistakes`}:\n${list}`,
    { hint: `mend the file and look again with: cephflow lint ${name}` },
  );
}

function compareFiles(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
