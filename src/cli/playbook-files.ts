import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { CephflowError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest.ts';
import { checkPlaybook } from '../plan/check.ts';
import { type Parsed, parsePlaybook } from '../plan/parse.ts';
import type { Playbook } from '../plan/playbook.ts';
import type { Problem } from '../plan/problems.ts';
import type { Task } from '../task/task.ts';
import { listCodeFiles } from './code-playbooks.ts';

/** Hold a playbook's file and what came of reading it. */
export interface PlaybookFile extends Parsed {
  readonly file: string;
}

const extensions = ['.yaml', '.yml'];

/** Read every playbook of some folders, first folder first. A folder that is not there has none. */
export function listPlaybooks(folders: readonly string[]): readonly PlaybookFile[] {
  return folders.flatMap((folder) => {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names
      .filter((name) => extensions.includes(extname(name)))
      .sort()
      .map((name) => read(join(folder, name)));
  });
}

/**
 * Find and read one playbook: a path of a file, or the name of one in the folders.
 * @throws PLAYBOOK_UNKNOWN with the nearest name
 */
export function readPlaybookFile(folders: readonly string[], name: string): PlaybookFile {
  const isPath = name.includes('/') || extensions.includes(extname(name));
  if (isPath && statSync(name, { throwIfNoEntry: false })?.isFile()) return read(name);
  const all = isPath ? [] : listPlaybooks(folders);
  const found = all.find((one) => nameOf(one.file) === name);
  if (found) return found;
  if (isPath) throw new CephflowError('PLAYBOOK_UNKNOWN', `there is no playbook file ${resolve(name)}`);
  const known = [...all.map(({ file }) => file), ...listCodeFiles(folders)].map(nameOf);
  throw new CephflowError('PLAYBOOK_UNKNOWN', `there is no playbook ${name}.${didYouMean(name, known)}`, {
    hint: `looked in ${folders.join(', ')}; cephflow playbooks lists them all`,
  });
}

/** Find everything that is wrong with a playbook: its form, and, as far as it could be read, what it names. */
export function problemsOf(
  { draft, problems }: PlaybookFile,
  tasks: ReadonlyMap<string, Task>,
  includes: ReadonlyMap<string, Playbook>,
): readonly Problem[] {
  return [...problems, ...(draft ? checkPlaybook(draft, tasks, includes) : [])];
}

/** Give every playbook that another may include; one that cannot be read is missed where it is included. */
export function includesOf(folders: readonly string[]): ReadonlyMap<string, Playbook> {
  return byName(listPlaybooks(folders).map(({ playbook }) => playbook));
}

/** The same for looking for mistakes: a playbook with mistakes of its own is there all the same. */
export function draftsOf(folders: readonly string[]): ReadonlyMap<string, Playbook> {
  return byName(listPlaybooks(folders).map(({ draft }) => draft));
}

const byName = (all: readonly (Playbook | undefined)[]) =>
  new Map(all.flatMap((one) => (one ? [[one.name, one] as const] : [])));

const nameOf = (file: string) => basename(file, extname(file));

const read = (file: string): PlaybookFile => ({ file, ...parsePlaybook(readFileSync(file, 'utf8'), file) });
