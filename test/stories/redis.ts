import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { portOpens } from '../lab/ports.ts';

/** A real redis-server of a test's own, on a loopback port. */
export interface PrivateRedis {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Debian's package of the same name brings it; scripts/packages.js installs that. */
const server = 'redis-server';

/** Start a redis-server with an append-only file, as production would have it. */
export async function startRedis(more: readonly string[] = []): Promise<PrivateRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'cf-redis-'));
  const port = await freePort();
  const log = join(dir, 'redis.log');
  const settings = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(port),
    '--dir',
    dir,
    '--logfile',
    log,
    '--save',
    '',
  ];
  const child = spawn(server, [...settings, '--appendonly', 'yes', ...more], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  await portOpens('127.0.0.1', port, log);
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await gone;
      await rm(dir, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
