import { CephflowError, type ErrorCode, errorCodes } from '../base/errors.ts';
import type { Command, CommandResult, Shell } from './command.ts';

/** Hold one command and what came of it: a result, or the error it ended with. */
export interface TapeEntry {
  readonly host: string;
  readonly words: readonly string[];
  readonly reads: boolean;
  readonly input?: string;
  readonly result?: CommandResult;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Pass commands on to a shell and keep what came of each, in the order in which they ended. */
export function recordTape(shell: Shell): { readonly shell: Shell; readonly tape: readonly TapeEntry[] } {
  const tape: TapeEntry[] = [];
  const keep = (command: Command, ended: Pick<TapeEntry, 'result' | 'error'>) => {
    const { words, reads, input } = command;
    tape.push({ host: shell.host, words, reads, ...(input === undefined ? {} : { input }), ...ended });
  };
  const run = async (command: Command, signal?: AbortSignal) => {
    try {
      const result = await shell.run(command, signal);
      keep(command, { result });
      return result;
    } catch (thrown) {
      const known = thrown instanceof CephflowError ? thrown : undefined;
      keep(command, {
        error: { code: known?.code ?? 'INTERNAL', message: known?.message ?? String(thrown) },
      });
      throw thrown;
    }
  };
  return { shell: { host: shell.host, run, close: () => shell.close() }, tape };
}

/**
 * Answer commands from a tape: each entry once; of several that fit (same words, same input), the first that is left.
 * Commands may come in another order than on the tape, because questions are asked beside one another.
 * `left` lists what was not asked for: a test demands that it is empty.
 * @throws INTERNAL (from `run`) with the words, for a command that is not on the tape or is used up
 */
export function replayTape(
  tape: readonly TapeEntry[],
  host: string,
): Shell & { left(): readonly TapeEntry[] } {
  const rest = tape.filter((entry) => entry.host === host);
  return {
    host,
    left: () => rest,
    run: async (command) => {
      const index = rest.findIndex((entry) => fits(entry, command));
      const [entry] = index < 0 ? [] : rest.splice(index, 1);
      if (entry === undefined) throw unknown(host, command, rest);
      if (entry.error) throw new CephflowError(asCode(entry.error.code), entry.error.message);
      if (entry.result) return entry.result;
      throw new CephflowError(
        'INTERNAL',
        `the tape has neither result nor error for: ${entry.words.join(' ')}`,
      );
    },
    close: async () => {},
  };
}

function fits(entry: TapeEntry, command: Command): boolean {
  return (
    entry.words.length === command.words.length &&
    entry.words.every((word, i) => word === command.words[i]) &&
    entry.reads === command.reads &&
    entry.input === command.input
  );
}

function unknown(host: string, command: Command, rest: readonly TapeEntry[]): CephflowError {
  const left = rest.map((entry) => entry.words.join(' ')).join('; ') || 'nothing';
  const kind = command.reads ? 'reading' : 'changing';
  return new CephflowError(
    'INTERNAL',
    `no answer on the tape for the ${kind} command on ${host}: ${command.words.join(' ')}`,
    { hint: `left on the tape: ${left}` },
  );
}

function asCode(code: string): ErrorCode {
  return code in errorCodes ? (code as ErrorCode) : 'INTERNAL';
}
