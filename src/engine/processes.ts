import { readFileSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Find a program as the shell would; undefined where it is not on the path. `searchPath`: value of PATH. */
export async function findProgram(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

/** Tell whether a process lives. One that has ended and is not yet collected by its parent does not. */
export function isAlive(pid: number): boolean {
  const facts = readProcess(pid);
  return facts !== undefined && facts.state !== 'Z' && facts.state !== 'X';
}

/**
 * Give the time when a process started, in clock ticks since boot: together with the pid it names one process only.
 * @returns undefined where there is no such process
 */
export function processStart(pid: number): string | undefined {
  return readProcess(pid)?.start;
}

function readProcess(pid: number): { state: string; start: string } | undefined {
  try {
    // the second field is the name in brackets and may hold anything: count from its end (proc_pid_stat(5))
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', start: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** Between two looks at something that is awaited on this machine. */
const lookEveryMs = 25;

/** Look again and again until it is so. @returns false when it is not within the limit */
export async function waitUntil(isSo: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  for (const endMs = Date.now() + limitMs; Date.now() < endMs; ) {
    if (await isSo()) return true;
    await sleep(lookEveryMs);
  }
  return isSo();
}
