// A redis-server of its own for each measurement, and what it tells of itself.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** Debian's package of the same name brings it; scripts/packages.js installs that. */
const server = 'redis-server';
/** Commands that take longer stand in the SLOWLOG: far below the limit, and few enough to read. */
const slowMicroseconds = 1000;
const slowEntries = 100_000;
/** How the bench's own questions are told from those of what is measured. */
const ownName = 'cephflow-bench';
/** Between two looks at the memory. */
const sampleMs = 50;
/** INFO counts what clients hold once a second (clientsCron). */
const clientsCountedMs = 1200;

/** Start a redis-server as every measurement has it, both sides alike. */
export async function startRedis() {
  const dir = await mkdtemp(join(tmpdir(), 'cf-bench-'));
  const socket = join(dir, 'redis.sock');
  const words = ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--appendonly', 'yes'];
  const slow = ['--slowlog-log-slower-than', slowMicroseconds, '--slowlog-max-len', slowEntries].map(String);
  const child = spawn(server, [...words, '--appendfsync', 'everysec', ...slow], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  for (let tries = 0; !(await listens(socket)); tries += 1) {
    if (tries > 100) throw new Error('bench: redis-server does not start');
    await pause(50);
  }
  const redis = new Redis(socket, { connectionName: ownName, maxRetriesPerRequest: null });
  return {
    socket,
    dataBytes: () => dataBytes(redis),
    settledBytes: async () => {
      await pause(clientsCountedMs);
      return dataBytes(redis);
    },
    watchMemory: () => watchMemory(redis),
    cpuMs: () => cpuMs(redis),
    slowCommands: () => slowCommands(redis),
    async stop() {
      redis.disconnect();
      child.kill('SIGTERM');
      await gone;
      // a rewrite of the append-only file may still be ending
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function listens(socket) {
  return new Promise((resolve) => {
    const tried = connect(socket);
    tried.once('connect', () => {
      tried.destroy();
      resolve(true);
    });
    tried.once('error', () => resolve(false));
  });
}

/** Used, and none of our data: what clients hold, the buffer of the append-only file, the text of cached scripts. */
const notData = ['mem_clients_normal', 'mem_clients_slaves', 'mem_aof_buffer', 'used_memory_scripts_eval'];

async function dataBytes(redis) {
  const of = await info(redis, 'memory');
  return notData.reduce((left, field) => left - of(field), of('used_memory'));
}

/** Look at the memory until asked for the most that there was: bytes of data, and Redis' own peak of everything. */
function watchMemory(redis) {
  const state = { isOver: false, most: 0 };
  const watching = (async () => {
    while (!state.isOver) {
      state.most = Math.max(state.most, await dataBytes(redis));
      await pause(sampleMs);
    }
  })();
  return async () => {
    state.isOver = true;
    await watching;
    return { most: state.most, peak: (await info(redis, 'memory'))('used_memory_peak') };
  };
}

async function cpuMs(redis) {
  const of = await info(redis, 'cpu');
  return 1000 * (of('used_cpu_user') + of('used_cpu_sys'));
}

async function info(redis, section) {
  const text = await redis.info(section);
  return (field) => {
    const found = new RegExp(`^${field}:([\\d.]+)`, 'm').exec(text);
    if (!found) throw new Error(`bench: this Redis does not tell ${field}`);
    return Number(found[1]);
  };
}

/** All commands that took more than a millisecond, but the bench's own. */
async function slowCommands(redis) {
  const entries = await redis.call('SLOWLOG', 'GET', '-1');
  return entries
    .filter(([, , , , , name]) => name !== ownName)
    .map(([, , micros, words]) => ({ ms: micros / 1000, words }));
}
