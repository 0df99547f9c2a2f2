import { expect, test } from 'vitest';
import { chain, group, step } from '../../../src/plan/canvas.ts';
import { withScene } from './scene.ts';
import { startWatched, type Watched } from './sentinels.ts';

const limitMs = 200_000;

const repeat = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const slow = (ms: number) => step('world.slow', { ms });
const destroy = () => step('world.destroy', { ms: 50 });
const part = () =>
  group([destroy(), ...repeat(60, () => slow(60)), step('world.wait', { polls: 5 }, { pollMs: 100 })]);
/** Two parts, with a question between them on which the test holds the run. */
const canvas = chain(part(), step('world.ask'), part(), ...repeat(40, () => slow(20)));

async function withWatched<T>(play: (watched: Watched) => Promise<T>): Promise<T> {
  const watched = await startWatched();
  try {
    return await play(watched);
  } finally {
    await watched.stop();
  }
}

test.concurrent(
  'a run ends right although its primary is killed, comes back as a replica, and the other is killed too',
  () =>
    withWatched((watched) =>
      withScene({ redis: watched.place, canvas, workers: 2 }, async (scene) => {
        for (let round = 0; round < 2; round += 1) {
          await scene.progress(30);
          const { child, port } = await watched.primary();
          child.kill('SIGKILL');
          await watched.failedOver(port);
          await scene.progress(5);
          await watched.restart(port);
          if (round === 0) await scene.approve();
        }
        await scene.finish('two failovers', { hasLostTail: true });
      }),
    ),
  limitMs,
);

test.concurrent(
  'a run ends right although its primary hangs: connections that nobody closes are given up',
  () =>
    withWatched((watched) =>
      withScene({ redis: watched.place, canvas, workers: 2 }, async (scene) => {
        await scene.progress(30);
        const { child, port } = await watched.primary();
        child.kill('SIGSTOP');
        await watched.failedOver(port);
        await scene.approve();
        await scene.progress(10);
        // it wakes up, believes for a moment that it is the primary, and is made a replica
        child.kill('SIGCONT');
        await scene.finish('a primary that hung', { hasLostTail: true });
      }),
    ),
  limitMs,
);

test.concurrent(
  'a run ends right although its primary is made a replica under it',
  () =>
    withWatched((watched) =>
      withScene({ redis: watched.place, canvas, workers: 2 }, async (scene) => {
        await scene.progress(30);
        const { port } = await watched.primary();
        const sentinel = watched.connect(Number(watched.place.sentinels[0]?.split(':')[1]));
        expect(await sentinel.call('SENTINEL', 'FAILOVER', watched.place.name)).toBe('OK');
        await watched.failedOver(port);
        const { store, run } = scene;
        // the test's own connection is one that was refused as well
        await store.wake(run, 0);
        await scene.finish('a primary demoted', { hasLostTail: true });
      }),
    ),
  limitMs,
);
