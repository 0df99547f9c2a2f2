import { createHash } from 'node:crypto';
import { CephflowError } from '../base/errors.ts';
import {
  type Command,
  type CommandLock,
  type CommandResult,
  programMissing,
  type Shell,
  traceOf,
} from './command.ts';
import { createGate } from './flow.ts';
import { askLockScript, underLockScript } from './lock-script.ts';

/** Give the words that are carried out: of a command with a lock, those that run it under that. */
export function wordsOf({ words, lock }: Pick<Command, 'words' | 'lock'>): readonly string[] {
  return lock ? [...script(underLockScript, lock), ...words] : words;
}

const script = (text: string, { name, turn }: CommandLock) => [
  'sh',
  '-c',
  text,
  'cephflow',
  fileName(name),
  String(turn),
];

/** Longest that stays within the 255 bytes of a file's name, with the hash and `.lock`. */
const longestName = 200;

/** A name that had to be changed carries the hash of what it was: `a/b` and `a-b` are two locks. */
function fileName(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9._@-]/g, '-');
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 12);
  return `${plain.slice(0, longestName)}.${digest}`;
}

/** Exit code of a script that did not run its command; sysexits' EX_TEMPFAIL. What it says tells it from a command's own. */
const refusedExit = 75;
const missingExit = 127;
const refusal = /^cephflow-lock: (held|overtaken|folder|program)(?: (\S+))?(?: (\S+))?\n/;

/**
 * Demand that the lock let the command run.
 * @throws LOCK_HELD another command of that lock runs; COMMAND_ABORTED a later turn was seen there; NODE_UNSUITABLE the
 *   folder of the locks is somebody else's; PROGRAM_MISSING there is no flock
 */
export function requireLock(
  shell: Pick<Shell, 'host'>,
  command: Pick<Command, 'words' | 'lock' | 'timeoutMs' | 'reads'>,
  result: CommandResult,
): void {
  const { lock } = command;
  // where the shell and not the machine is asked to start it, the shell says that it is not there
  if (lock && result.exitCode === missingExit) throw programMissing(shell, command);
  const [, kind, subject = '', file = ''] =
    (result.exitCode === refusedExit && refusal.exec(result.stderr)) || [];
  if (!lock || kind === undefined) return;
  const about = { command: traceOf(shell, command, { exitCode: result.exitCode }) };
  if (kind === 'program') throw programMissing(shell, { ...command, words: [subject] });
  if (kind === 'held') {
    throw new CephflowError('LOCK_HELD', `the command that ${lock.name} began on ${shell.host} still runs`, {
      ...about,
      hint: `it is tried again once that has ended; to see it, there: pgrep -a -g ${subject} (the lock is ${file})`,
    });
  }
  if (kind === 'overtaken') {
    const what = `nothing was begun on ${shell.host}: another worker has taken over ${lock.name}`;
    throw new CephflowError('COMMAND_ABORTED', what, about);
  }
  throw new CephflowError(
    'NODE_UNSUITABLE',
    `${subject} on ${shell.host} is not a folder of the ssh user alone`,
    {
      ...about,
      hint: `cephflow keeps its locks there, and makes it itself: find out who made it, and remove it`,
    },
  );
}

/** Say what holds a lock: the process group of the command, and the lock's file. */
export interface LockHolder {
  readonly group: string;
  readonly file: string;
}

/** Taking a lock waits two seconds for another that only asks. */
const askMs = 15_000;

/**
 * Find what still runs under a lock on a machine. Where nothing does, nothing of an earlier turn can begin there from
 * now on. Changes nothing that lasts.
 * @throws what the shell throws, NODE_UNSUITABLE, PROGRAM_MISSING, COMMAND_ABORTED (we are overtaken ourselves),
 *   COMMAND_FAILED
 */
export async function findLockHolder(
  shell: Shell,
  lock: CommandLock,
  signal?: AbortSignal,
): Promise<LockHolder | undefined> {
  const command = { words: script(askLockScript, lock), reads: true, timeoutMs: askMs };
  const result = await shell.run(command, signal);
  if (result.exitCode === 0) return undefined;
  const shown = { ...command, words: ['flock', fileName(lock.name)], lock };
  const [, kind, group = '', file = ''] = refusal.exec(result.stderr) ?? [];
  if (kind === 'held') return { group, file };
  requireLock(shell, shown, result);
  throw new CephflowError('COMMAND_FAILED', `the lock of ${lock.name} cannot be asked for on ${shell.host}`, {
    command: traceOf(shell, shown, result),
  });
}

/** Say under which lock an act's commands run, and what is asked immediately before each. */
export interface Guard {
  /** Absent: under none. */
  readonly lock?: CommandLock;
  /** Throws where the act may begin nothing more. */
  before(host: string): Promise<void>;
}

/** Let every command that changes something begin only when the guard agrees, under its lock, one after the other. */
export function guarded(shell: Shell, { lock, before }: Guard): Shell {
  const gate = createGate(1);
  return {
    host: shell.host,
    run: async (command, signal) => {
      if (command.reads) return shell.run(command, signal);
      await gate.enter();
      try {
        await before(shell.host);
        return await shell.run(lock ? { ...command, lock } : command, signal);
      } finally {
        gate.leave();
      }
    },
    close: () => shell.close(),
  };
}
