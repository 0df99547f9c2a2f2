import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  findEmbeddedRedis,
  openOnEmbedded,
  startEmbeddedRedis,
  stopEmbeddedRedis,
} from '../../src/engine/embedded.ts';
import { isAlive, waitUntil } from '../../src/engine/processes.ts';
import { askRedis } from '../../src/engine/raw-redis.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import { socketFolder } from '../../src/engine/socket-folder.ts';

const searchPath = process.env['PATH'] ?? '';
let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp('/tmp/cephflow-embedded-');
});
afterEach(async () => {
  await stopEmbeddedRedis(stateDir);
  const sockets = await socketFolder(stateDir);
  await rm(stateDir, { recursive: true });
  await rm(sockets, { recursive: true, force: true });
});

test('embedded: a server on a private socket, with every record synced', async () => {
  const { socket, pid } = await startEmbeddedRedis({ stateDir, searchPath });
  expect(await askRedis(socket, 'PING')).toBe('PONG');
  const info = await askRedis(socket, 'INFO');
  expect(info).toMatch(/^aof_enabled:1\r?$/m);
  expect(info).toMatch(/^maxmemory_policy:noeviction\r?$/m);
  expect(info).toMatch(/^tcp_port:0\r?$/m);
  expect(await readFile(join(stateDir, 'redis/redis.conf'), 'utf8')).toContain('appendfsync always');
  expect((await stat(socket)).mode & 0o777).toBe(0o600);
  expect((await stat(stateDir)).mode & 0o777).toBe(0o700);
  expect(await startEmbeddedRedis({ stateDir, searchPath })).toEqual({ socket, pid });
});

test('embedded: five commands at once start one server', async () => {
  const all = await Promise.all(
    Array.from({ length: 5 }, () => startEmbeddedRedis({ stateDir, searchPath })),
  );
  expect(new Set(all.map(({ pid }) => pid)).size).toBe(1);
});

test('embedded: a killed server is seen as dead, and the next one has its records', async () => {
  const first = await startEmbeddedRedis({ stateDir, searchPath });
  await askRedis(first.socket, 'SET kept yes');
  process.kill(first.pid, 'SIGKILL');
  expect(await waitUntil(async () => !isAlive(first.pid), 5000)).toBe(true);
  expect(await findEmbeddedRedis(stateDir)).toBeUndefined();
  const second = await startEmbeddedRedis({ stateDir, searchPath });
  expect(second.pid).not.toBe(first.pid);
  expect(await askRedis(second.socket, 'GET kept')).toBe('yes');
});

test('embedded: a path too long for a socket gets a short folder for it', async () => {
  const long = join(stateDir, 'x'.repeat(100));
  const { socket } = await startEmbeddedRedis({ stateDir: long, searchPath });
  try {
    expect(Buffer.byteLength(socket)).toBeLessThan(107);
    expect(await askRedis(socket, 'PING')).toBe('PONG');
  } finally {
    expect(await stopEmbeddedRedis(long)).toBe(true);
    await rm(await socketFolder(long), { recursive: true });
  }
});

test('embedded: stop ends the process; it leaves alone a server that others use', async () => {
  const { socket, pid } = await startEmbeddedRedis({ stateDir, searchPath });
  const blocked = askRedis(socket, 'BLPOP never 1').catch(() => 'ended');
  const isBlocked = async () => /blocked_clients:1/.test(await askRedis(socket, 'INFO clients'));
  expect(await waitUntil(isBlocked, 2000)).toBe(true);
  expect(await stopEmbeddedRedis(stateDir, { unlessUsed: true })).toBe(false);
  await blocked;
  const isFree = () => stopEmbeddedRedis(stateDir, { unlessUsed: true });
  expect(await waitUntil(isFree, 5000)).toBe(true);
  expect(isAlive(pid)).toBe(false);
  expect(await stopEmbeddedRedis(stateDir)).toBe(true);
});

test('embedded: a command that meets the end of the server starts it once more', async () => {
  const met: number[] = [];
  const redis = await openOnEmbedded({ stateDir, searchPath }, async (socket) => {
    met.push((await findEmbeddedRedis(stateDir))?.pid ?? Number.NaN);
    if (met.length === 1) await stopEmbeddedRedis(stateDir);
    return connectRedis(socket, 'producer');
  });
  expect(await redis.ping()).toBe('PONG');
  expect(new Set(met).size).toBe(2);
  redis.disconnect();
});

test('embedded: other errors are told at once', async () => {
  const tries: string[] = [];
  const opening = openOnEmbedded({ stateDir, searchPath }, async (socket) => {
    tries.push(socket);
    throw new Error('no');
  });
  await expect(opening).rejects.toThrow('no');
  expect(tries).toHaveLength(1);
});

test('embedded: without a server on PATH it says what to type', async () => {
  const error = await startEmbeddedRedis({ stateDir, searchPath: '/nonexistent' }).catch((thrown) => thrown);
  expect(error.code).toBe('PROGRAM_MISSING');
  expect(error.message).toBe('there is no redis-server or valkey-server on PATH');
  expect(error.hint).toBe(
    'type: apt install redis-server (or dnf install valkey); or name a running one as redis.url in the config',
  );
});
