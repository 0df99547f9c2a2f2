import { spawn } from 'node:child_process';
import { chmod, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CephflowError, lastLines } from '../base/errors.ts';
import { findProgram, isAlive, waitUntil } from './processes.ts';
import { askRedis } from './raw-redis.ts';
import { socketFolder } from './socket-folder.ts';

/** Say where the embedded Redis keeps its files and where its program is looked for. */
export interface EmbeddedOptions {
  /** Folder of this user's (or this machine's) cephflow: records, logs, sockets. Made with mode 0700. */
  readonly stateDir: string;
  /** Value of PATH. */
  readonly searchPath: string;
}

/** Reach an embedded Redis that answers. */
export interface EmbeddedRedis {
  readonly socket: string;
  readonly pid: number;
}

/** Loading an append-only file of a gigabyte takes about ten seconds on a slow disk. */
const startLimitMs = 60_000;
/** Exit code by which flock says so; no exit code of redis-server. */
const lockIsHeld = 75;
/** A server that loads a large file holds the lock for long: no storm of attempts meanwhile. */
const lockTryEveryMs = 500;
/** SHUTDOWN writes and syncs what is left, which is little under appendfsync always. */
const stopLimitMs = 10_000;

/**
 * Give the embedded Redis, starting it when it does not run. Any number of commands may do so at once: the server
 * holds a kernel lock on its folder for as long as it lives, so a second one ends at once and all use the first.
 * @throws PROGRAM_MISSING no redis-server, valkey-server or flock on PATH; REDIS_UNREACHABLE it does not come up
 */
export async function startEmbeddedRedis(options: EmbeddedOptions): Promise<EmbeddedRedis> {
  const running = await findEmbeddedRedis(options.stateDir);
  if (running) return running;
  const folder = join(options.stateDir, 'redis');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(options.stateDir, 0o700);
  const server = await findServer(options.searchPath);
  const flock = await findFlock(options.searchPath);
  const config = join(folder, 'redis.conf');
  await writeFile(config, describeConfig(folder, await socketPath(options.stateDir)), { mode: 0o600 });
  // --no-fork: redis-server takes the place of flock, with its pid and the lock
  const lock = ['--nonblock', '--no-fork', '--conflict-exit-code', String(lockIsHeld), join(folder, 'lock')];
  return bringUp({ ...options, folder, words: [flock, ...lock, server, config] });
}

/**
 * Start the embedded Redis where it does not run, and open something on it. An agent or a command that ends may be
 * stopping the very server that was found: then it is started and opened once more.
 * @throws as startEmbeddedRedis and `open` do
 */
export async function openOnEmbedded<T>(
  options: EmbeddedOptions,
  open: (socket: string) => Promise<T>,
): Promise<T> {
  const attempt = async () => open((await startEmbeddedRedis(options)).socket);
  try {
    return await attempt();
  } catch (thrown) {
    if (!isUnreachable(thrown)) throw thrown;
    return attempt();
  }
}

/** Tell whether an error says that Redis has gone. */
export function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof CephflowError && thrown.code === 'REDIS_UNREACHABLE';
}

/**
 * Find the embedded Redis if it runs and answers; a socket file of a dead one is no sign of life.
 * @returns undefined where none answers
 */
export async function findEmbeddedRedis(stateDir: string): Promise<EmbeddedRedis | undefined> {
  const socket = await socketPath(stateDir);
  const info = await askRedis(socket, 'INFO server').catch(() => undefined);
  const pid = Number(/^process_id:(\d+)/m.exec(info ?? '')?.[1]);
  return Number.isInteger(pid) ? { socket, pid } : undefined;
}

/**
 * Stop the embedded Redis and wait until it is gone.
 * `unlessUsed`: leave it alone while anybody else is connected.
 * @returns whether none runs any more
 */
export async function stopEmbeddedRedis(stateDir: string, { unlessUsed = false } = {}): Promise<boolean> {
  const running = await findEmbeddedRedis(stateDir);
  if (!running) return true;
  if (unlessUsed) {
    const info = await askRedis(running.socket, 'INFO clients');
    // one is this very question
    if (Number(/^connected_clients:(\d+)/m.exec(info)?.[1]) > 1) return false;
  }
  // it answers by closing the connection
  await askRedis(running.socket, 'SHUTDOWN NOSAVE').catch(() => undefined);
  if (await waitUntil(async () => !isAlive(running.pid), stopLimitMs)) return true;
  const still = await findEmbeddedRedis(stateDir);
  // only the one that just told its own pid: a number from a file may be somebody else's by now
  if (still?.pid === running.pid) process.kill(running.pid, 'SIGKILL');
  return waitUntil(async () => !isAlive(running.pid), stopLimitMs);
}

async function socketPath(stateDir: string): Promise<string> {
  return join(await socketFolder(stateDir), 'redis.sock');
}

async function findServer(searchPath: string): Promise<string> {
  const found =
    (await findProgram('redis-server', searchPath)) ?? (await findProgram('valkey-server', searchPath));
  if (found) return found;
  throw new CephflowError('PROGRAM_MISSING', 'there is no redis-server or valkey-server on PATH', {
    hint: 'type: apt install redis-server (or dnf install valkey); or name a running one as redis.url in the config',
  });
}

async function findFlock(searchPath: string): Promise<string> {
  const found = await findProgram('flock', searchPath);
  if (found) return found;
  throw new CephflowError('PROGRAM_MISSING', 'there is no flock on PATH', {
    hint: 'type: apt install util-linux; or name a running Redis as redis.url in the config',
  });
}

function describeConfig(folder: string, socket: string): string {
  return [
    '# written by cephflow at every start: changes are lost',
    'port 0',
    `unixsocket ${JSON.stringify(socket)}`,
    'unixsocketperm 600',
    `dir ${JSON.stringify(folder)}`,
    `pidfile ${JSON.stringify(join(folder, 'redis.pid'))}`,
    'daemonize no',
    'appendonly yes',
    // an act on the cluster must not be forgotten: see DESIGN section 6, crash rules
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    'databases 1',
    '',
  ].join('\n');
}

interface Launch extends EmbeddedOptions {
  readonly folder: string;
  readonly words: readonly string[];
}

async function bringUp(launch: Launch): Promise<EmbeddedRedis> {
  let found: EmbeddedRedis | undefined;
  let server = await launchServer(launch);
  let nextTryMs = Date.now() + lockTryEveryMs;
  await waitUntil(async () => {
    found = await findEmbeddedRedis(launch.stateDir);
    if (found || server.isOver()) return true;
    // another command's server has the lock: it will answer, or die and leave the lock to us
    if (server.hasLostTheLock() && Date.now() > nextTryMs) {
      nextTryMs = Date.now() + lockTryEveryMs;
      server = await launchServer(launch);
    }
    return false;
  }, startLimitMs);
  if (found) {
    // a script whose record was torn by a power cut is forgotten now, and half of it carried out at the next start
    // (seen with 7.0.15): records written anew hold neither
    await askRedis(found.socket, 'BGREWRITEAOF').catch(() => undefined);
    return found;
  }
  const logFile = join(launch.folder, 'redis.log');
  const log = await readFile(logFile, 'utf8').catch(() => '');
  throw new CephflowError('REDIS_UNREACHABLE', 'the embedded Redis does not come up', {
    disposition: 'stop',
    command: { host: 'this machine', words: launch.words, stderr: lastLines(log) },
    hint: `look at ${logFile}: a full disk and a damaged file are the usual reasons`,
  });
}

async function launchServer({ folder, words, searchPath }: Launch) {
  const log = await open(join(folder, 'redis.log'), 'a', 0o600);
  const [program = '', ...rest] = words;
  const child = spawn(program, rest, {
    cwd: folder,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { PATH: searchPath },
  });
  child.on('error', () => undefined);
  child.unref();
  await log.close();
  const hasLostTheLock = () => child.exitCode === lockIsHeld;
  const hasEnded = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return { hasLostTheLock, isOver: () => hasEnded() && !hasLostTheLock() };
}
