import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { waitUntil } from '../../../src/engine/processes.ts';
import type { SentinelPlace } from '../../../src/engine/redis-place.ts';

/** Two servers, a primary and its replica, and three sentinels that look after them; all on ports of this machine. */
export interface Watched {
  readonly place: SentinelPlace;
  /** The process of the server that the sentinels call primary now, and its port. */
  primary(): Promise<{ readonly child: ChildProcess; readonly port: number }>;
  /** Start a server that was killed again, as the replica, and wait until the primary has it in step. */
  restart(port: number): Promise<void>;
  /** A connection to one of the servers; ended with them. */
  connect(port: number): Redis;
  /** Wait until another server than that one is primary. */
  failedOver(from: number): Promise<void>;
  stop(): Promise<void>;
}

/** Debian's package of the same name brings it; with --sentinel it is one. */
const server = 'redis-server';
const name = 'mymaster';
const password = 'a-password-of-a-test';
/** Sentinels needed to agree that the primary is gone. */
const quorum = 2;
const address = '127.0.0.1';
/** A primary that is silent for so long is replaced. */
const downAfterMs = 1000;
const limitMs = 60_000;

/** Start them, and wait until the sentinels know one another and the replica. */
export async function startWatched(): Promise<Watched> {
  const folder = await mkdtemp(join(tmpdir(), 'cephflow-sentinel-'));
  const [first = 0, second = 0, ...sentinelPorts] = await freePorts(5);
  const children = new Map<number, ChildProcess>();
  const clients: Redis[] = [];
  const connect = (port: number) => {
    const isServer = port === first || port === second;
    const client = new Redis(port, address, { ...(isServer && { password }), maxRetriesPerRequest: null });
    client.on('error', () => {
      // A killed server is part of the test.
    });
    clients.push(client);
    return client;
  };
  const run = async (port: number, words: readonly string[]) => {
    const at = join(folder, String(port));
    await mkdir(at, { recursive: true });
    const child = spawn(server, words, { stdio: 'ignore', cwd: at });
    children.set(port, child);
  };
  const serve = (port: number, more: readonly string[]) =>
    run(port, [...serverWords(port, join(folder, String(port))), ...more]);
  const stop = async () => {
    for (const client of clients) client.disconnect();
    await Promise.all([...children.values()].map(end));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await serve(first, []);
    await serve(second, ['--replicaof', address, String(first)]);
    await until('the replica is in step', () => isInStep(connect(second)));
    for (const port of sentinelPorts) {
      const file = join(folder, `sentinel-${port}.conf`);
      await writeFile(file, sentinelConfig(port, first));
      await run(port, [file, '--sentinel']);
    }
    const servers = new Map([first, second].map((port) => [port, connect(port)]));
    const asked = sentinelPorts.map(connect);
    const all = async () => (await Promise.all(asked.map(knowsAll))).every(Boolean);
    await until('the sentinels know one another', all);
    const portNow = async () => {
      const found = await asked[0]?.call('SENTINEL', 'get-master-addr-by-name', name);
      return Number((found as readonly string[] | undefined)?.[1]);
    };
    return {
      place: { sentinels: sentinelPorts.map((port) => `${address}:${port}`), name, password },
      connect,
      primary: async () => {
        const port = await portNow();
        return { port, child: children.get(port) as ChildProcess };
      },
      restart: async (port) => {
        await serve(port, ['--replicaof', address, String(await portNow())]);
        // under load the sentinels may change their minds meanwhile: whoever is primary must have its replica
        await until('a replica is in step', async () => hasReplica(servers.get(await portNow())));
      },
      failedOver: (from) => until('another is primary', async () => (await portNow()) !== from),
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** End a process, also one that was stopped, and wait until it is gone. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

function serverWords(port: number, folder: string): string[] {
  const place = ['--port', String(port), '--bind', address, '--dir', folder, '--save', ''];
  const records = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--repl-diskless-sync-delay', '0'];
  return [...place, ...records, '--requirepass', password, '--masterauth', password];
}

function sentinelConfig(port: number, primary: number): string {
  return [
    `port ${port}`,
    `bind ${address}`,
    `sentinel monitor ${name} ${address} ${primary} ${quorum}`,
    `sentinel auth-pass ${name} ${password}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} 5000`,
    '',
  ].join('\n');
}

async function isInStep(replica: Redis): Promise<boolean> {
  return /master_link_status:up/.test(await replica.info('replication'));
}

async function hasReplica(primary: Redis | undefined): Promise<boolean> {
  return /slave0:.*state=online/.test((await primary?.info('replication')) ?? '');
}

async function knowsAll(sentinel: Redis): Promise<boolean> {
  return /slaves=1,sentinels=3/.test(await sentinel.info('sentinel'));
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  if (!(await waitUntil(isSo, limitMs))) throw new Error(`never: ${what}`);
}

/** Ports that nobody listens on; held together while they are chosen, so that no two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, address, () => {
            const at = server.address();
            resolve(typeof at === 'object' && at ? at.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
