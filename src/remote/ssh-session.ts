import type { Client, ClientChannel } from 'ssh2';
import { CephflowError } from '../base/errors.ts';
import {
  aborted,
  brokeOff,
  type Command,
  type CommandResult,
  outputLimitBytes,
  programMissing,
  quoteWords,
  timedOut,
  traceOf,
} from './command.ts';
import { createSink } from './flow.ts';
import { requireLock, wordsOf } from './lock.ts';

/** Time that a process has on the machine between SIGTERM and SIGKILL. */
const killAfterSeconds = 2;
/** Time beyond a command's own limit for the machine's `timeout` to tell that it ended it. */
const tellGraceMs = killAfterSeconds * 1000 + 1500;

/**
 * Carry out one command over a connection that stands. What came of it is told as `Shell.run` tells it.
 * @throws what ssh2 throws where nothing was sent
 */
export function runSession(
  client: Client,
  host: string,
  command: Command,
  signal: AbortSignal | undefined,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const session = createSession(client, { host, command }, { resolve, reject });
    const onAbort = () => session.abort();
    const timer = setTimeout(session.expire, command.timeoutMs + tellGraceMs);
    session.onEnd(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    client.exec(remoteLine(command), (error, channel) => {
      if (error) session.lose(error);
      else session.attach(channel);
    });
  });
}

/**
 * The process tells its pid as its first line of stderr, then becomes `timeout`, which passes a signal on to the whole
 * group. sshd itself passes no signals on for root (OpenSSH session_signal_req), so an abort sends its own `kill`.
 */
const tellPid = ['sh', '-c', 'echo $$ >&2; exec "$@"', 'sh'];

function remoteLine(command: Command): string {
  const limit = ['timeout', `--kill-after=${killAfterSeconds}`, String(command.timeoutMs / 1000)];
  return `exec ${quoteWords([...tellPid, ...limit, ...wordsOf(command)])}`;
}

/** Two digits at least: whatever else may come in its place, pid 0 (our own group) and 1 are never sent a signal. */
const pidLine = /^([1-9]\d+)\n/;

interface Asked {
  readonly host: string;
  readonly command: Command;
}

interface Settle {
  resolve(result: CommandResult): void;
  reject(error: unknown): void;
}

function createSession(client: Client, { host, command }: Asked, settle: Settle) {
  const begun = performance.now();
  const [stdout, stderr] = [createSink(), createSink()];
  let channel: ClientChannel | undefined;
  let exit: Exit | undefined;
  let ended = () => {};
  let isAborted = false;
  const killer = createKiller(client, stderr);
  const fail = (error: unknown) => {
    ended();
    channel?.close();
    settle.reject(error);
  };
  const finish = () => {
    ended();
    try {
      if (isAborted) throw aborted({ host }, command);
      const said = { stdout: stdout.text(), stderr: saidBy(stderr), tookMs: performance.now() - begun };
      settle.resolve(judge({ host, command }, exit, said));
    } catch (thrown) {
      settle.reject(thrown);
    }
  };
  const tooMuch = () => {
    const how = `printed more than ${outputLimitBytes / 1024 / 1024} MiB and was ended`;
    killer.kill();
    fail(brokeOff({ host }, command, { how, stderr: '' }));
  };
  return {
    onEnd: (then: () => void) => {
      ended = then;
    },
    lose: (error: unknown) => fail(isNotSent(error) ? error : lost(host, command, '', error)),
    expire: () => fail(timedOut({ host }, command, saidBy(stderr))),
    abort: () => {
      isAborted = true;
      killer.kill();
      setTimeout(() => fail(aborted({ host }, command)), tellGraceMs).unref();
    },
    attach: (opened: ClientChannel) => {
      channel = opened;
      opened.on('data', (chunk: Buffer) => stdout.take(chunk) || tooMuch());
      opened.stderr.on('data', (chunk: Buffer) => {
        if (!stderr.take(chunk)) tooMuch();
        killer.look();
      });
      opened.on('exit', (code: number | null, name?: string) => {
        exit = { code, signal: name };
      });
      opened.on('close', finish);
      opened.on('error', (error: Error) => fail(lost(host, command, saidBy(stderr), error)));
      opened.end(command.input);
    },
  };
}

interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
}

function judge({ host, command }: Asked, exit: Exit | undefined, said: Said): CommandResult {
  const { stdout, stderr, tookMs } = said;
  if (exit === undefined) throw lost(host, command, stderr);
  if (tookMs >= command.timeoutMs && isTimeoutsEnd(exit)) throw timedOut({ host }, command, stderr);
  if (exit.code === null) throw brokeOff({ host }, command, { how: `was ended by ${exit.signal}`, stderr });
  if (exit.code === 127) throw programMissing({ host }, command);
  const result = { stdout, stderr, exitCode: exit.code };
  requireLock({ host }, command, result);
  return result;
}

const saidBy = (stderr: { text(): string }) => stderr.text().replace(pidLine, '');

/**
 * End the process there when nobody waits for it any more; as soon as its pid is told, where it is not told yet.
 * Where that does not arrive, the `timeout` over there ends it in its own time.
 */
function createKiller(client: Client, stderr: { text(): string }) {
  let isDue = false;
  const look = () => {
    const pid = isDue ? pidLine.exec(stderr.text())?.[1] : undefined;
    if (pid === undefined) return;
    isDue = false;
    client.exec(`kill -TERM ${pid}`, (error, channel) => {
      if (!error) channel.resume();
    });
  };
  return {
    look,
    kill: () => {
      isDue = true;
      look();
    },
  };
}

interface Exit {
  readonly code: number | null;
  readonly signal?: string | undefined;
}

/** timeout(1) ends with 124; where it had to use SIGKILL it dies of that itself, which some shells call 137. */
const isTimeoutsEnd = ({ code, signal }: Exit) => code === 124 || code === 137 || signal === 'SIGKILL';

const isNotSent = (error: unknown) => error instanceof Error && error.message === 'Not connected';

/** Say that the connection was lost under a command. */
export function lost(host: string, command: Command, stderr: string, cause?: unknown): CephflowError {
  return new CephflowError(
    'SSH_UNREACHABLE',
    `the connection to ${host} was lost while ${command.words[0] ?? 'a command'} ran there; whether it ended is not known`,
    { command: traceOf({ host }, command, { stderr }), cause },
  );
}
