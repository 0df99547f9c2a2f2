// What it costs to wait: 10,000 steps that are asked every 30 s and are never done, one worker that also leads.
import { setTimeout as pause } from 'node:timers/promises';
import { figureOf, median, rounded, rounds, say } from './figures.js';
import { onFreshRedis } from './processes.js';

const size = 10_000;
/** As the task says: each window holds one question to each step. */
const pollMs = 30_000;
const lookMs = 500;

/** Figures that are measured together, each with the function that measures them. */
export const waitingBenches = [
  {
    figures: ['engine.waiting-10000.core-fraction'],
    measure: async () => {
      const windows = await onFreshRedis({ kind: 'ours', shape: 'waits', size }, watchWaits);
      const of = (what) => median(windows.map((one) => one[what]));
      const asks = `${of('asked')} of ${size} asked in a window of ${pollMs / 1000} s`;
      const redis = `redis-server used ${rounded(of('redis'))} of a core`;
      return [
        figureOf('engine.waiting-10000.core-fraction', {
          value: of('fraction'),
          unit: 'core',
          baseline: `a whole core; ${asks}, ${redis}; all were asked once after ${rounded(windows[0].firstSeconds)} s`,
        }),
      ];
    },
  },
];

async function watchWaits({ redis, start }) {
  const [worker, client] = await Promise.all([start('worker'), start('client')]);
  const added = client.told('added');
  client.say('go');
  const { beganMs } = await added;
  await client.usage();
  await client.end();
  while ((await worker.usage()).askedSteps < size) await pause(lookMs);
  const firstSeconds = (Date.now() - beganMs) / 1000;
  say(`ours waits ${size}: all were asked once after ${rounded(firstSeconds)} s`);
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    const window = await oneWindow(worker, redis);
    say(`ours waits ${size}, window ${round} of ${rounds}: ${rounded(window.fraction)} of a core`);
    windows.push({ ...window, firstSeconds });
  }
  return windows;
}

async function oneWindow(worker, redis) {
  const look = async () => {
    const [used, redisMs] = await Promise.all([worker.usage(), redis.cpuMs()]);
    return { ...used, redisMs, atMs: performance.now() };
  };
  const before = await look();
  await pause(pollMs);
  const after = await look();
  const wallMs = after.atMs - before.atMs;
  const asked = after.askedCount - before.askedCount;
  // an engine that falls behind its polls must not look cheap for it
  const behind = Math.max(1, (size * wallMs) / pollMs / Math.max(1, asked));
  const fraction = (behind * (after.cpuMs - before.cpuMs)) / wallMs;
  return { fraction, asked, redis: (after.redisMs - before.redisMs) / wallMs };
}
