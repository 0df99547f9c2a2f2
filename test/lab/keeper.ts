import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';

/** Folder of the shell and Python tools that run inside a lab. */
export const toolsDir = join(import.meta.dirname, 'tools');

/** What a command inside a lab said. `exitCode` is 124 when the time limit ended it. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface Keeper {
  /** Pid (as seen from outside) of the first process of the lab's PID namespace: with it everything else ends. */
  readonly pid: number;
  /** Run a command inside the lab's namespaces; a failing exit code is an answer, not an error. */
  inside(words: readonly string[], input?: string): Promise<Said>;
  /** Run a command inside and throw, with what it said, unless its exit code is 0. */
  must(words: readonly string[], input?: string): Promise<string>;
  /** End everything inside and wait until it is gone, the directory too. */
  stop(): Promise<void>;
}

/** No single command of the lab takes longer than this, bring-up on a loaded machine included. */
const commandSeconds = 60;
/** The kernel ends a namespace at once; only removing the directory takes time. */
const stopSeconds = 20;
const cleanPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Open the PID and mount namespace that everything in a lab lives in. It ends with the returned `stop`, and also when this
 * process dies in any way: the keeper waits for the end of its standard input.
 * @throws Error when namespaces cannot be made (not root, or a container without the capability).
 */
export async function openKeeper(dir: string, keepDirectory: boolean): Promise<Keeper> {
  if (process.getuid?.() !== 0)
    throw new Error('lab: needs root (namespaces, sshd, a mail server): run it as root');
  const outer = spawn('sh', [join(toolsDir, 'keeper.sh'), dir, keepDirectory ? '1' : '0'], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: cleanPath },
  });
  const pid = await firstPid(outer);
  const enter = ['-t', String(pid), '--pid', '--mount', '--'];
  const inside = (words: readonly string[], input?: string): Promise<Said> =>
    run('nsenter', [...enter, ...words], input);
  return {
    pid,
    inside,
    must: async (words, input) => demand(words, await inside(words, input)),
    stop: () => stop(outer),
  };
}

/** Run a command outside of the namespaces, with a clean PATH and a time limit; never throws for an exit code. */
export async function run(file: string, words: readonly string[], input?: string): Promise<Said> {
  const done = await execa(file, words, {
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    env: { PATH: cleanPath, LC_ALL: 'C.UTF-8' },
    extendEnv: false,
    reject: false,
    timeout: commandSeconds * 1000,
  });
  const stderr = done.exitCode === undefined ? `${done.stderr}\n${done.shortMessage ?? ''}` : done.stderr;
  return { stdout: done.stdout, stderr, exitCode: done.exitCode ?? (done.timedOut ? 124 : 127) };
}

/** Return stdout, or throw with the whole of what was said. */
export function demand(words: readonly string[], said: Said): string {
  if (said.exitCode === 0) return said.stdout;
  throw new Error(`lab: ${words.join(' ')}: exit code ${said.exitCode}\n${said.stderr}\n${said.stdout}`);
}

async function firstPid(outer: ChildProcess): Promise<number> {
  const { stdout, stderr } = outer;
  if (stdout === null || stderr === null) throw new Error('lab: the keeper has no output');
  let complaint = '';
  stderr.on('data', (piece: Buffer) => {
    complaint += piece.toString();
  });
  outer.unref();
  for await (const line of createInterface({ input: stdout })) {
    const [word, pid] = line.split(' ');
    if (word === 'inside') return Number(pid);
  }
  throw new Error(
    `lab: namespaces could not be opened (root, or CAP_SYS_ADMIN, is needed): ${complaint.trim()}`,
  );
}

async function stop(outer: ChildProcess): Promise<void> {
  if (outer.exitCode !== null || outer.signalCode !== null) return;
  const gone = once(outer, 'exit', { signal: AbortSignal.timeout(stopSeconds * 1000) });
  outer.ref();
  outer.stdin?.end();
  await gone;
}
