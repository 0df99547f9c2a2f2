import { readFile } from 'node:fs/promises';
import ssh2, { type Client, type ClientChannel, type ServerHostKeyAlgorithm } from 'ssh2';
import { CephflowError } from '../base/errors.ts';
import {
  aborted,
  brokeOff,
  type Command,
  type CommandResult,
  outputLimitBytes,
  programMissing,
  quoteWords,
  type Shell,
  timedOut,
  traceOf,
} from './command.ts';
import { createGate, createSink } from './flow.ts';
import { judgeHostKey, nameOf, type SshPlace } from './host-key.ts';
import { findKnownKeys, type KnownKey, orderAlgorithms } from './known-hosts.ts';

/** Say how machines are reached over ssh. `addresses`: by name, where the name does not resolve. Files are paths. */
export interface SshOptions {
  readonly user: string;
  readonly port: number;
  readonly keyFile: string;
  readonly knownHostsFile: string;
  readonly addresses?: Readonly<Record<string, string>>;
  /** From the first packet until the key is accepted; default 8 s. */
  readonly connectTimeoutMs?: number;
  /** A silent connection is asked for a sign of life so often, and given up after three without answer; default 2 s. */
  readonly keepaliveMs?: number;
}

const connectTimeoutMs = 8000;
const keepaliveMs = 2000;
const keepaliveMisses = 3;
/** sshd takes ten sessions a connection (MaxSessions); two are left for whoever else shares it. */
const sessionsAtOnce = 8;
/** Time that a process has on the machine between SIGTERM and SIGKILL. */
const killAfterSeconds = 2;
/** Time beyond a command's own limit for the machine's `timeout` to tell that it ended it. */
const tellGraceMs = killAfterSeconds * 1000 + 1500;

/**
 * Reach one machine over ssh: one connection, opened on need, kept alive, opened again after a loss.
 * Commands run under `timeout` there, so that they end in time also when the connection is lost.
 * @throws SSH_UNREACHABLE, SSH_REFUSED, SSH_HOST_KEY, NOT_CONFIGURED (key file), COMMAND_TIMED_OUT, COMMAND_ABORTED,
 *   COMMAND_FAILED, PROGRAM_MISSING (all from `run`)
 */
export function createSshShell(host: string, options: SshOptions): Shell {
  const place: Place = { ...options, host, address: options.addresses?.[host] ?? host };
  let connection: Promise<Client> | undefined;
  const connected = () => {
    connection ??= connect(place, () => {
      connection = undefined;
    });
    return connection;
  };
  const gate = createGate(sessionsAtOnce);
  return {
    host,
    run: async (command, signal) => {
      await gate.enter();
      try {
        if (signal?.aborted) throw aborted({ host }, command);
        return await runOver(connected, host, command, signal);
      } finally {
        gate.leave();
      }
    },
    close: async () => {
      const open = connection;
      connection = undefined;
      (await open?.catch(() => undefined))?.end(); // a connection that failed was told to whoever asked for it
    },
  };
}

interface Place extends SshOptions, SshPlace {}

async function connect(place: Place, onClose: () => void): Promise<Client> {
  try {
    const privateKey = await readKey(place);
    const known = findKnownKeys(
      await readKnownHosts(place.knownHostsFile),
      [place.host, place.address],
      place.port,
    );
    return await open(place, privateKey, known, onClose);
  } catch (thrown) {
    onClose();
    throw thrown;
  }
}

async function readKey({ keyFile }: Place): Promise<Buffer> {
  const fail = (what: string, cause: unknown) =>
    new CephflowError('NOT_CONFIGURED', `the ssh key ${keyFile} ${what}`, {
      hint: 'the config names it as clusters.NAME.ssh.key: a private key in OpenSSH or PEM form, without a passphrase',
      cause,
    });
  const text = await readFile(keyFile).catch((error: NodeJS.ErrnoException) => {
    throw fail(error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code})`, error);
  });
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw fail(`is no usable private key (${key.message})`, key);
  return text;
}

async function readKnownHosts(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''; // then every key is unknown, which says the file's name and what to do
    throw new CephflowError('NOT_CONFIGURED', `the known_hosts file ${file} cannot be read (${error.code})`, {
      cause: error,
    });
  });
}

/** What ssh2 supports and prefers, weakest last. */
const hostKeyAlgorithms: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];

function open(
  place: Place,
  privateKey: Buffer,
  known: readonly KnownKey[],
  onClose: () => void,
): Promise<Client> {
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    let refusal: CephflowError | undefined;
    client.on('ready', () => resolve(client));
    client.on('error', (error) => {
      reject(refusal ?? connectError(place, error));
      onClose();
      client.destroy();
    });
    client.on('close', () => {
      reject(refusal ?? connectError(place, new Error('the connection was closed before it was set up')));
      onClose();
    });
    client.connect({
      host: place.address,
      port: place.port,
      username: place.user,
      privateKey,
      readyTimeout: place.connectTimeoutMs ?? connectTimeoutMs,
      keepaliveInterval: place.keepaliveMs ?? keepaliveMs,
      keepaliveCountMax: keepaliveMisses,
      algorithms: { serverHostKey: orderAlgorithms(known, hostKeyAlgorithms) as ServerHostKeyAlgorithm[] },
      hostVerifier: (key: Buffer) => {
        refusal = judgeHostKey(place, key, known);
        return refusal === undefined;
      },
    });
  });
}

function connectError(place: Place, error: Error & { level?: string; code?: string }): CephflowError {
  if (error.level === 'client-authentication') {
    return new CephflowError('SSH_REFUSED', `${nameOf(place)} refused the ssh key for user ${place.user}`, {
      hint: `the key is ${place.keyFile}; its public half must be in ~${place.user}/.ssh/authorized_keys there`,
      cause: error,
    });
  }
  const limit = (place.connectTimeoutMs ?? connectTimeoutMs) / 1000;
  const what = error.level === 'client-timeout' ? `no answer within ${limit} s` : error.message;
  return new CephflowError('SSH_UNREACHABLE', `${nameOf(place)} cannot be reached over ssh: ${what}`, {
    hint: `try: ssh -p ${place.port} -i ${place.keyFile} ${place.user}@${place.address} true`,
    cause: error,
  });
}

/** Connections tried for one command: one that died unnoticed while idle, and a fresh one. */
const connectionsTried = 2;

async function runOver(
  connected: () => Promise<Client>,
  host: string,
  command: Command,
  signal: AbortSignal | undefined,
): Promise<CommandResult> {
  for (let attempt = 1; ; attempt++) {
    const client = await connected();
    if (signal?.aborted) throw aborted({ host }, command);
    try {
      return await runSession(client, host, command, signal);
    } catch (thrown) {
      // ssh2 says so before anything is sent: the command did not run
      const wasNotSent = thrown instanceof Error && thrown.message === 'Not connected';
      if (!wasNotSent) throw thrown;
      client.destroy();
      if (attempt >= connectionsTried) throw lost(host, command, '', thrown);
    }
  }
}

function runSession(
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

function remoteLine({ words, timeoutMs }: Command): string {
  const limit = ['timeout', `--kill-after=${killAfterSeconds}`, String(timeoutMs / 1000)];
  return `exec ${quoteWords([...tellPid, ...limit, ...words])}`;
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
  const fail = (error: unknown) => {
    ended();
    channel?.close();
    settle.reject(error);
  };
  const finish = () => {
    ended();
    const said = saidBy(stderr);
    if (isAborted) settle.reject(aborted({ host }, command));
    else if (exit === undefined) settle.reject(lost(host, command, said));
    else if (performance.now() - begun >= command.timeoutMs && isTimeoutsEnd(exit)) {
      settle.reject(timedOut({ host }, command, said));
    } else if (exit.code === null) {
      settle.reject(brokeOff({ host }, command, { how: `was ended by ${exit.signal}`, stderr: said }));
    } else if (exit.code === 127) settle.reject(programMissing({ host }, command));
    else settle.resolve({ stdout: stdout.text(), stderr: said, exitCode: exit.code });
  };
  const tooMuch = () => {
    const how = `printed more than ${outputLimitBytes / 1024 / 1024} MiB and was ended`;
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
      const pid = pidLine.exec(stderr.text())?.[1];
      if (pid !== undefined) kill(client, pid);
      setTimeout(() => fail(aborted({ host }, command)), tellGraceMs).unref();
    },
    attach: (opened: ClientChannel) => {
      channel = opened;
      opened.on('data', (chunk: Buffer) => stdout.take(chunk) || tooMuch());
      opened.stderr.on('data', (chunk: Buffer) => stderr.take(chunk) || tooMuch());
      opened.on('exit', (code: number | null, name?: string) => {
        exit = { code, signal: name };
      });
      opened.on('close', finish);
      opened.on('error', (error: Error) => fail(lost(host, command, saidBy(stderr), error)));
      opened.end(command.input);
    },
  };
}

const saidBy = (stderr: { text(): string }) => stderr.text().replace(pidLine, '');

/** Where it does not arrive, the `timeout` over there ends the command in its own time. */
function kill(client: Client, pid: string): void {
  client.exec(`kill -TERM ${pid}`, (error, channel) => {
    if (!error) channel.resume();
  });
}

interface Exit {
  readonly code: number | null;
  readonly signal?: string | undefined;
}

/** timeout(1) ends with 124; where it had to use SIGKILL it dies of that itself, which some shells call 137. */
const isTimeoutsEnd = ({ code, signal }: Exit) => code === 124 || code === 137 || signal === 'SIGKILL';

const isNotSent = (error: unknown) => error instanceof Error && error.message === 'Not connected';

function lost(host: string, command: Command, stderr: string, cause?: unknown): CephflowError {
  return new CephflowError(
    'SSH_UNREACHABLE',
    `the connection to ${host} was lost while ${command.words[0] ?? 'a command'} ran there; whether it ended is not known`,
    { command: traceOf({ host }, command, { stderr }), cause },
  );
}
