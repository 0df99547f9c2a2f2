import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** Longest wait for a server to answer or to end: a loaded machine needs some seconds. */
const readyLimitMs = 20_000;

/** Debian's package of the same name brings it; scripts/packages.js installs that. */
const server = 'redis-server';

/** A redis-server of one test file, on a unix socket in its own folder, with an append-only file synced always. */
export interface PrivateRedis {
  readonly socket: string;
  readonly folder: string;
  /** A connection for the test itself; ended with the server. */
  readonly redis: Redis;
  /** End the server without a chance to write anything, and wait until it is gone. */
  kill(): Promise<void>;
  /** Start it again on the same folder. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Start a server. Fails when redis-server is missing: a store that was not tried is not tested. */
export async function startRedis(options: readonly string[] = []): Promise<PrivateRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'cephflow-redis-'));
  const socket = join(folder, 'redis.sock');
  const redis = new Redis(socket, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => {
    // A killed server is part of some tests.
  });
  const running: { child?: ChildProcess } = {};
  const start = async () => {
    running.child = launch(folder, socket, options);
    await untilReady(socket, running.child);
  };
  const kill = async () => {
    const { child } = running;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  await start();
  await redis.connect();
  const stop = async () => {
    redis.disconnect();
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  return { socket, folder, redis, kill, start, stop };
}

function launch(folder: string, socket: string, options: readonly string[]): ChildProcess {
  const words = ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', ''];
  const log = ['--appendonly', 'yes', '--appendfsync', 'always', '--logfile', join(folder, 'log')];
  return spawn(server, [...words, ...log, ...options], { stdio: 'ignore' });
}

async function untilReady(socket: string, child: ChildProcess): Promise<void> {
  let missing: Error | undefined;
  child.once('error', (error) => {
    missing = error;
  });
  const deadline = Date.now() + readyLimitMs;
  while (Date.now() < deadline) {
    if (missing) throw new Error(`redis-server cannot be started: ${missing.message}`, { cause: missing });
    if (await answers(socket)) return;
    await sleep(20);
  }
  throw new Error(`redis-server on ${socket} did not answer within ${readyLimitMs / 1000} s`);
}

async function answers(socket: string): Promise<boolean> {
  const probe = new Redis(socket, { lazyConnect: true, retryStrategy: () => null });
  probe.on('error', () => {
    // Not yet there.
  });
  try {
    await probe.connect();
    await probe.ping();
    return true;
  } catch {
    return false;
  } finally {
    probe.disconnect();
  }
}
