import { hostname } from 'node:os';
import { execa } from 'execa';
import {
  aborted,
  brokeOff,
  type Command,
  type CommandResult,
  outputLimitBytes,
  programMissing,
  type Shell,
  timedOut,
} from './command.ts';
import { requireLock, wordsOf } from './lock.ts';

/** Time between SIGTERM and SIGKILL: `ceph` ends at once, a hanging Python finaliser never does. */
const termGraceMs = 1000;
/** Time after SIGKILL for the pipes to close; a process that left the group may keep them open for ever. */
const pipeGraceMs = 1000;

/**
 * Run commands on this machine, without a shell. Each gets its own process group, ended as a whole (SIGTERM, then
 * SIGKILL) when its time is over or it is aborted.
 * @throws PROGRAM_MISSING, COMMAND_TIMED_OUT, COMMAND_ABORTED, COMMAND_FAILED (all from `run`)
 */
export function createLocalShell(): Shell {
  const host = hostname();
  return {
    host,
    run: (command, signal) => runHere(host, command, signal),
    close: async () => {},
  };
}

async function runHere(host: string, command: Command, signal?: AbortSignal): Promise<CommandResult> {
  const shell = { host };
  if (signal?.aborted) throw aborted(shell, command);
  const [program = '', ...args] = wordsOf(command);
  const child = start(program, args, command.input);
  const killer = createKiller(child.pid);
  const timer = setTimeout(() => killer.kill('time'), command.timeoutMs);
  const onAbort = () => killer.kill('abort');
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await Promise.race([child, killer.gaveUp]);
    if (killer.why() === 'time') throw timedOut(shell, command, result?.stderr);
    if (killer.why() === 'abort' || result === undefined) throw aborted(shell, command);
    if (result.code === 'ENOENT') throw programMissing(shell, command, result.cause);
    if (result.isMaxBuffer) throw brokeOff(shell, command, { how: tooMuch, stderr: '' });
    if (result.exitCode === undefined) {
      const how = result.signal ? `was ended by ${result.signal}` : `did not run: ${result.shortMessage}`;
      throw brokeOff(shell, command, { how, stderr: result.stderr });
    }
    const { stdout, stderr, exitCode } = result;
    requireLock(shell, command, { stdout, stderr, exitCode });
    return { stdout, stderr, exitCode };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    killer.stop();
  }
}

const tooMuch = `printed more than ${outputLimitBytes / 1024 / 1024} MiB and was ended`;

function start(program: string, args: readonly string[], input: string | undefined) {
  return execa(program, args, {
    detached: true, // its own process group, so that the kill reaches what it started
    reject: false,
    stripFinalNewline: false,
    maxBuffer: outputLimitBytes,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
  });
}

/** End a process group in two steps; `gaveUp` settles when even SIGKILL did not close its pipes. */
function createKiller(pid: number | undefined) {
  let reason: 'time' | 'abort' | undefined;
  let timer: NodeJS.Timeout | undefined;
  const { promise: gaveUp, resolve: giveUp } = withResolvers();
  const send = (name: NodeJS.Signals) => {
    try {
      if (pid !== undefined) process.kill(-pid, name);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  };
  const killHard = () => {
    send('SIGKILL');
    timer = setTimeout(giveUp, pipeGraceMs);
  };
  return {
    gaveUp,
    why: () => reason,
    kill(why: 'time' | 'abort') {
      if (reason) return;
      reason = why;
      send('SIGTERM');
      timer = setTimeout(killHard, termGraceMs);
    },
    /** The leader has ended: what is left of its group, if it was to be killed, goes at once. */
    stop() {
      clearTimeout(timer);
      if (reason) send('SIGKILL');
    },
  };
}

function withResolvers(): { promise: Promise<undefined>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<undefined>((settle) => {
    resolve = () => settle(undefined);
  });
  return { promise, resolve };
}
