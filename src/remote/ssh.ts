import { readFile } from 'node:fs/promises';
import ssh2, { type Client, type ServerHostKeyAlgorithm } from 'ssh2';
import { CephflowError } from '../base/errors.ts';
import { aborted, type Command, type CommandResult, type Shell } from './command.ts';
import { createGate } from './flow.ts';
import { judgeHostKey, nameOf, type SshPlace } from './host-key.ts';
import { findKnownKeys, type KnownKey, orderAlgorithms } from './known-hosts.ts';
import { lost, runSession } from './ssh-session.ts';

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
