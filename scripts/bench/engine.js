// What the engine costs beside BullMQ alone: same redis-server, same append-only file, one worker process each,
// 50 at a time, from the first add to the last completion.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Odd, so that the median is a measured value; three is what the noise of a shared machine allows in a few minutes. */
const rounds = 3;
/** Debian's package of the same name brings it; scripts/packages.js installs that. */
const server = 'redis-server';
/** A run that takes longer hangs. */
const limitMs = 180_000;

const groupSize = 10_000;
const chainLength = 1000;

/** Figures that are measured together, each with the function that measures them. */
export const benches = [
  {
    figures: ['engine.group-10000.ratio', 'engine.client-memory.mb', 'engine.worker-memory.mb'],
    measure: () =>
      compare({ shape: 'group', size: groupSize, figure: 'engine.group-10000.ratio', hasMemory: true }),
  },
  {
    figures: ['engine.chain-1000.ratio'],
    measure: () =>
      compare({ shape: 'chain', size: chainLength, figure: 'engine.chain-1000.ratio', hasMemory: false }),
  },
];

async function compare({ shape, size, figure, hasMemory }) {
  const raw = [];
  const ours = [];
  for (let round = 0; round < rounds; round += 1) {
    raw.push(await measure('raw', shape, size));
    ours.push(await measure('ours', shape, size));
  }
  const ratios = ours.map(({ ms }, index) => ms / raw[index].ms);
  const seconds = (times) => `${(median(times.map(({ ms }) => ms)) / 1000).toFixed(2)} s`;
  const baseline = `raw BullMQ, ${size} jobs (${seconds(raw)}; cephflow ${seconds(ours)})`;
  const figures = [{ figure, value: rounded(median(ratios)), unit: 'x', baseline, n: rounds }];
  if (!hasMemory) return figures;
  const memory = (of, whose) => {
    const mine = median(ours.map((one) => one[of]));
    const theirs = median(raw.map((one) => one[of]));
    const value = rounded(mine);
    return {
      figure: `engine.${whose}-memory.mb`,
      value,
      unit: 'MB',
      baseline: `raw BullMQ: ${rounded(theirs)} MB`,
      n: rounds,
    };
  };
  return [...figures, memory('clientMb', 'client'), memory('workerMb', 'worker')];
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const rounded = (value) => Math.round(value * 100) / 100;

/** One run on a fresh redis-server, with a fresh worker and a fresh client. */
async function measure(kind, shape, size) {
  const redis = await startRedis();
  const words = [redis.socket, shape, String(size)];
  const worker = fork(join(import.meta.dirname, `${kind}-worker.js`), words);
  const client = fork(join(import.meta.dirname, `${kind}-client.js`), words);
  const limit = setTimeout(() => {
    worker.kill('SIGKILL');
    client.kill('SIGKILL');
  }, limitMs);
  try {
    await Promise.all([told(worker, 'ready'), told(client, 'ready')]);
    client.send('go');
    const { beganMs, mb: clientMb } = await told(client, 'added');
    const { endedMs, mb: workerMb } = await told(worker, 'done');
    return { ms: endedMs - beganMs, clientMb, workerMb };
  } finally {
    clearTimeout(limit);
    await Promise.all([worker, client].map(endChild));
    await redis.stop();
  }
}

/** Wait for a child's word; a child that ends without it is an error, not a silence. */
function told(child, kind) {
  return new Promise((resolve, reject) => {
    const onMessage = (message) => {
      if (message.kind !== kind) return;
      child.off('message', onMessage);
      resolve(message);
    };
    child.on('message', onMessage);
    child.once('exit', (code, signal) =>
      reject(new Error(`bench: a child ended (${code ?? signal}) before "${kind}"`)),
    );
  });
}

async function endChild(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function startRedis() {
  const dir = await mkdtemp(join(tmpdir(), 'cf-bench-'));
  const socket = join(dir, 'redis.sock');
  const words = ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--appendonly', 'yes'];
  const child = spawn(server, [...words, '--appendfsync', 'everysec'], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  for (let tries = 0; !(await listens(socket)); tries += 1) {
    if (tries > 100) throw new Error('bench: redis-server does not start');
    await pause(50);
  }
  return {
    socket,
    async stop() {
      child.kill('SIGTERM');
      await gone;
      await rm(dir, { recursive: true });
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
