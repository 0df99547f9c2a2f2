import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openQueue } from '../../../src/engine/queue.ts';
import { type Canvas, chain, group, step } from '../../../src/plan/canvas.ts';
import { type PrivateRedis, startRedis } from '../private-redis.ts';
import { confirmedBytes, recordsFile } from './confirmed.ts';
import { withScene } from './scene.ts';
import { cluster } from './shapes.ts';

/** The scenes have limits of their own. */
const limitMs = 200_000;

const repeat = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const slow = (ms: number) => step('world.slow', { ms });
const destroy = (ms: number) => step('world.destroy', { ms });

/** Three hundred steps of all kinds, which take some seconds. */
function storm(): Canvas {
  const member = () => chain(slow(30), step('world.wait', { polls: 2 }, { pollMs: 100 }), slow(20));
  const first = group([...repeat(40, () => slow(60)), destroy(100), destroy(100)]);
  const second = group(repeat(30, member), { maxParallel: 8 });
  const third = group([...repeat(100, () => slow(40)), destroy(50), step('world.stop', { ms: 10 })]);
  const hold = step('world.hold', { life: 600_000 });
  return chain(
    hold,
    first,
    second,
    third,
    ...repeat(20, () => slow(10)),
    destroy(50),
    ...repeat(40, () => slow(10)),
  );
}

async function withRedis<T>(play: (server: PrivateRedis) => Promise<T>): Promise<T> {
  const server = await startRedis();
  try {
    return await play(server);
  } finally {
    await server.stop();
  }
}

/** The process of a server, to be stopped and continued. */
async function pidOf({ redis }: PrivateRedis): Promise<number> {
  const pid = Number(/^process_id:(\d+)/m.exec(await redis.info('server'))?.[1]);
  expect(pid).toBeGreaterThan(1);
  return pid;
}

describe('a run ends right although Redis', () => {
  test.concurrent(
    'is killed and started again three times',
    () =>
      withRedis((server) =>
        withScene({ redis: server.socket, canvas: storm(), workers: 2 }, async (scene) => {
          for (let round = 0; round < 3; round += 1) {
            await scene.progress(40);
            await server.kill();
            await server.start();
          }
          await scene.finish('Redis killed three times');
        }),
      ),
    limitMs,
  );

  test.concurrent(
    'loses its last records, again and again',
    () =>
      withRedis((server) =>
        withScene(
          { redis: server.socket, canvas: storm(), workers: 2, wish: { aof: aofOf(server) } },
          async (scene) => {
            const file = recordsFile(aofOf(server));
            let kept = (await stat(file)).size;
            const lost: number[] = [];
            for (let round = 0; round < 5; round += 1) {
              await scene.progress(25);
              await server.kill();
              // what was confirmed before an act that destroys must not be lost: that is what confirming means
              kept = Math.max(kept, confirmedBytes(scene.world.folder));
              const { size } = await stat(file);
              kept = Math.max(kept, await endOfRecord(file, size - tailBytes));
              await cut(file, kept);
              lost.push(size - kept);
              await server.start();
            }
            expect(Math.max(...lost)).toBeGreaterThan(tailBytes / 4);
            await scene.finish(`Redis lost ${lost.join(', ')} bytes`, { hasLostTail: true });
          },
        ),
      ),
    limitMs,
  );

  test.concurrent(
    'stands still for many times a lease',
    () => standStill(8000, { leaseMs: 1500, actMs: 5000 }),
    limitMs,
  );

  test.concurrent(
    'stands still for 40 s, with the times of a real worker',
    () => standStill(40_000, { leaseMs: 30_000, leadMs: 5000, resendMs: 15_000, actMs: 36_000 }),
    limitMs,
  );

  test.concurrent(
    'is out of memory for a while',
    () =>
      withRedis((server) =>
        withScene({ redis: server.socket, canvas: storm(), workers: 2 }, async (scene) => {
          await scene.progress(60);
          const used = Number(/^used_memory:(\d+)/m.exec(await server.redis.info('memory'))?.[1]);
          await server.redis.config('SET', 'maxmemory', Math.floor(used / 2));
          await scene.until('a worker complains', () =>
            scene.members.some((one) => one.said().includes('OOM')),
          );
          // longer than a lease: whatever was under way is given up and found again
          await sleep(3000);
          await server.redis.config('SET', 'maxmemory', 0);
          await scene.finish('Redis out of memory');
        }),
      ),
    limitMs,
  );

  test.concurrent(
    'forgets the scripts, and drops all connections',
    () =>
      withRedis((server) =>
        withScene({ redis: server.socket, canvas: storm(), workers: 2 }, async (scene) => {
          for (let round = 0; round < 4; round += 1) {
            await scene.progress(25);
            await server.redis.script('FLUSH');
            await scene.progress(15);
            await server.redis.call('CLIENT', 'KILL', 'TYPE', 'normal');
          }
          await scene.finish('scripts flushed, connections dropped');
        }),
      ),
    limitMs,
  );
});

describe('a run ends right although', () => {
  test.concurrent(
    'old deliveries come again, and deliveries of steps that are not ready',
    () =>
      withRedis((server) =>
        withScene({ redis: server.socket, canvas: storm(), workers: 2 }, async (scene) => {
          const queue = openQueue(server.redis, { prefix: 'chaos', cluster });
          const { steps } = await scene.store.plan(scene.run);
          for (let round = 0; round < 4; round += 1) {
            const all = steps.flatMap((_, index) =>
              [1, 2, 3].map((delivery) => ({ run: scene.run, step: index, delivery })),
            );
            await queue.send(all);
            await scene.progress(40);
          }
          await queue.close();
          const report = await scene.finish('deliveries repeated');
          expect(report.repeats).toBe(0);
        }),
      ),
    limitMs,
  );

  test.concurrent(
    'a worker stands still past its lease and goes on, believing that it still owns its steps',
    () =>
      withRedis((server) => {
        const twice = () => step('world.slow', { ms: 2500, again_ms: 2500 });
        const member = () => chain(twice(), step('world.set'));
        const canvas = group([member(), member(), destroy(2500)]);
        return withScene({ redis: server.socket, canvas, workers: 1 }, async (scene) => {
          const [first] = scene.members;
          const pid = first?.child.pid ?? 0;
          const begun = (by: number) =>
            scene.world.lines().filter((line) => line.pid === by && line.phase === 'begin');
          await scene.until('it acts', () => begun(pid).length === 3);
          process.kill(pid, 'SIGSTOP');
          const second = scene.join();
          const asks = async () =>
            (await scene.store.snapshot(scene.run)).views.some(({ waiting }) =>
              waiting?.question?.includes('approve to do it again'),
            );
          await scene.until('a person is asked about what destroys', asks);
          await scene.until('the other acts on the rest', () => begun(second.child.pid ?? 0).length === 2);
          process.kill(pid, 'SIGCONT');
          await scene.finish('a worker that stood still', { stoppedPids: [pid] });
        });
      }),
    limitMs,
  );
});

/** Records lost at once: those of some tens of steps. */
const tailBytes = 60_000;

const aofOf = ({ folder }: PrivateRedis) => join(folder, 'appendonlydir');

/**
 * Find where the last script's records before a place end. Where a file ends within a command of a MULTI, Redis 7.0.15
 * forgets that script at its start but leaves the beginning of it in the file; the start after that one carries it out.
 */
async function endOfRecord(file: string, before: number): Promise<number> {
  const exec = '*1\r\n$4\r\nEXEC\r\n';
  const found = (await readFile(file)).subarray(0, Math.max(0, before)).lastIndexOf(exec);
  return found < 0 ? 0 : found + exec.length;
}

async function cut(file: string, sizeBytes: number): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.truncate(sizeBytes);
  await handle.close();
}

/** Stop Redis for longer than a lease while acts are under way that outlast it. */
async function standStill(
  stoppedMs: number,
  { actMs, ...times }: { leaseMs: number; leadMs?: number; resendMs?: number; actMs: number },
): Promise<void> {
  const canvas = chain(
    group([slow(actMs), slow(actMs), destroy(50)]),
    group(repeat(20, () => slow(20))),
    destroy(50),
  );
  await withRedis((server) =>
    withScene({ redis: server.socket, canvas, workers: 2, wish: times }, async (scene) => {
      const pid = await pidOf(server);
      const longActs = () => scene.world.lines().filter(({ phase }) => phase === 'begin').length;
      await scene.until('the long acts have begun', () => longActs() >= 2);
      process.kill(pid, 'SIGSTOP');
      // not polled: how long it stands still is what is tested
      await sleep(stoppedMs);
      process.kill(pid, 'SIGCONT');
      await scene.finish(`Redis stood still for ${stoppedMs / 1000} s`);
      const aborted = scene.world.lines().filter(({ phase }) => phase === 'aborted');
      // the clock ended them while nobody could tell whose lease it was
      expect(aborted.length).toBeGreaterThan(0);
    }),
  );
}
