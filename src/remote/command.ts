import { CephflowError, type CommandTrace, lastLines } from '../base/errors.ts';

/**
 * Name a lock on the machine where a command runs. `turn`: whole number; once a machine has seen a higher one, nothing
 * of a lower turn begins there.
 */
export interface CommandLock {
  readonly name: string;
  readonly turn: number;
}

/**
 * Describe one command. `words` are never joined without quoting. `reads`: it changes nothing that lasts.
 * `input`: text for its stdin; without it stdin is empty. `lock`: at most one command runs under it; it then goes on to
 * its end when the connection is lost, and the lock with it.
 */
export interface Command {
  readonly words: readonly string[];
  readonly reads: boolean;
  readonly timeoutMs: number;
  readonly input?: string;
  readonly lock?: CommandLock;
}

/** Hold how a command ended by itself; one that was killed or lost is an error instead. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/**
 * Carry commands to one machine. A nonzero exit code is a result, not an error.
 * `run` throws COMMAND_TIMED_OUT, COMMAND_ABORTED, COMMAND_FAILED (ended by a signal, too much output), PROGRAM_MISSING,
 * over ssh also SSH_UNREACHABLE, SSH_REFUSED, SSH_HOST_KEY, NOT_CONFIGURED, and under a lock LOCK_HELD, NODE_UNSUITABLE.
 */
export interface Shell {
  readonly host: string;
  run(command: Command, signal?: AbortSignal): Promise<CommandResult>;
  close(): Promise<void>;
}

/** Output of one stream of a command beyond which it is ended: `pg dump` of 50,000 PGs is about 200 MB. */
export const outputLimitBytes = 256 * 1024 * 1024;

/** What a POSIX shell takes literally without quotes. A leading `=` or `~`, which some shells expand, is not in it. */
const plainWord = /^[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*$/;

/**
 * Quote words for a POSIX shell, so that each arrives as exactly one argument.
 * @throws PARAM_INVALID for a word with a NUL byte, which no command line can carry
 */
export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}

function quoteWord(word: string): string {
  if (word.includes('\0')) {
    throw new CephflowError(
      'PARAM_INVALID',
      'a word of a command holds a NUL byte, which no command can take',
    );
  }
  return plainWord.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * Let only reading commands through; this is what makes dry-run safe.
 * @throws NOT_READ_ONLY (from `run`) for a command that is not marked as reading
 */
export function readOnly(shell: Shell): Shell {
  return {
    host: shell.host,
    run: async (command, signal) => {
      if (command.reads) return shell.run(command, signal);
      throw new CephflowError(
        'NOT_READ_ONLY',
        `a command that changes something was asked for where only reading is allowed`,
        {
          command: { host: shell.host, words: command.words },
          hint: 'nothing was changed; this is a defect in a task: please report it',
        },
      );
    },
    close: () => shell.close(),
  };
}

/** Describe one command that was run, for the log. `exitCode` or, where it did not end by itself, `error`: a code. */
export interface CommandEntry {
  readonly host: string;
  readonly words: readonly string[];
  readonly reads: boolean;
  readonly durationMs: number;
  readonly exitCode?: number;
  readonly error?: string;
}

/** Tell every command to a log, when it has ended and however it ended. */
export function logged(shell: Shell, log: (entry: CommandEntry) => void): Shell {
  return {
    host: shell.host,
    run: async (command, signal) => {
      const begun = performance.now();
      const entry = (ended: { exitCode: number } | { error: string }): CommandEntry => ({
        host: shell.host,
        words: command.words,
        reads: command.reads,
        durationMs: Math.round(performance.now() - begun),
        ...ended,
      });
      try {
        const result = await shell.run(command, signal);
        log(entry({ exitCode: result.exitCode }));
        return result;
      } catch (thrown) {
        log(entry({ error: thrown instanceof CephflowError ? thrown.code : 'INTERNAL' }));
        throw thrown;
      }
    },
    close: () => shell.close(),
  };
}

/** Describe a command and how it ended, for an error. */
export function traceOf(
  shell: Pick<Shell, 'host'>,
  command: Pick<Command, 'words'>,
  ended: { readonly exitCode?: number | undefined; readonly stderr?: string } = {},
): CommandTrace {
  const stderr = lastLines(ended.stderr ?? '');
  return {
    host: shell.host,
    words: command.words,
    ...(ended.exitCode === undefined ? {} : { exitCode: ended.exitCode }),
    ...(stderr === '' ? {} : { stderr }),
  };
}

const packages: Readonly<Record<string, string>> = {
  ceph: 'ceph-common',
  'ceph-conf': 'ceph-common',
  osdmaptool: 'ceph-base',
  crushtool: 'ceph-base',
  'ceph-volume': 'ceph-volume (ceph-osd before Ceph 17)',
  cephadm: 'cephadm',
  systemctl: 'systemd',
  flock: 'util-linux',
  timeout: 'coreutils',
};

/** Say that a program is not there, and which Debian package has it. */
export function programMissing(shell: Pick<Shell, 'host'>, command: Command, cause?: unknown): CephflowError {
  const program = command.words[0] ?? '';
  const found = packages[program];
  return new CephflowError('PROGRAM_MISSING', `${program} is not on PATH of ${shell.host}`, {
    command: traceOf(shell, command),
    hint: found ? `on Debian it is in the package ${found}` : `install ${program} there, or mend the config`,
    cause,
  });
}

/** Say that a command did not end in time. */
export function timedOut(shell: Pick<Shell, 'host'>, command: Command, stderr = ''): CephflowError {
  const program = command.words[0] ?? '';
  return new CephflowError(
    'COMMAND_TIMED_OUT',
    `${program} did not end within ${command.timeoutMs / 1000} s on ${shell.host} and was killed`,
    { command: traceOf(shell, command, { stderr }) },
  );
}

/** Say that a command was ended because nobody waits for it any more. */
export function aborted(shell: Pick<Shell, 'host'>, command: Command): CephflowError {
  return new CephflowError(
    'COMMAND_ABORTED',
    `${command.words[0] ?? ''} was ended on ${shell.host} on request`,
    {
      command: traceOf(shell, command),
    },
  );
}

/** Say that a command ended in a way that leaves no exit code or no whole output. */
export function brokeOff(
  shell: Pick<Shell, 'host'>,
  command: Command,
  ended: { readonly how: string; readonly stderr: string },
): CephflowError {
  return new CephflowError('COMMAND_FAILED', `${command.words[0] ?? ''} on ${shell.host} ${ended.how}`, {
    command: traceOf(shell, command, ended),
  });
}
