import { expect, test } from 'vitest';
import { waitUntil } from '../../src/engine/processes.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { type Task, task } from '../../src/task/task.ts';
import { benchForEachTest, planFor, usualHash } from './worker-bench.ts';

const bench = benchForEachTest();
const limitMs = 60_000;

/** A task that notes which worker's copy of it has acted. */
const lightBy = (worker: string, acts: string[], gate: Promise<void> = Promise.resolve()): Task =>
  task({
    name: 'lamp.light',
    summary: 'Light a lamp',
    risk: 'changes',
    params: {},
    run: async (_, { step }) => {
      await gate;
      acts.push(`${worker}: ${step.id}`);
    },
  });

async function becomes(run: string, state: string): Promise<void> {
  expect(await waitUntil(async () => (await bench.store.brief(run)).state === state, limitMs)).toBe(true);
}

test('a worker with another version of a task file leaves its step, says so, and one with the right one does it', async () => {
  const acts: string[] = [];
  const other = lightBy('other', acts);
  await bench.work([other], { name: 'other', hash: 'h2' });
  const plan = planFor([{ id: 'light', task: 'lamp.light' }], [other]);
  await bench.store.createRun(plan, { by: 'ann', run: 'r' });
  const reason = async () => (await bench.store.snapshot('r')).views[0]?.waiting?.reason;
  const missing = `no worker has lamp.light@${usualHash}`;
  expect(await waitUntil(async () => (await reason()) === missing, limitMs)).toBe(true);
  expect(acts).toEqual([]);
  await bench.work([lightBy('right', acts)], { name: 'right' });
  // asked again at once rather than in half a minute; whichever worker takes it up, only the right one acts
  const isDone = async () => {
    await bench.store.wake('r', 0);
    return acts.length > 0;
  };
  expect(await waitUntil(isDone, limitMs)).toBe(true);
  await becomes('r', 'succeeded');
  expect(acts).toEqual(['right: light']);
}, 90_000);

for (const [version, writer] of [
  ['1', 'an older'],
  ['3', 'a newer'],
] as const) {
  test(`a cephflow that finds the store of ${writer} one refuses it, changes nothing, and the run there goes on`, async () => {
    const acts: string[] = [];
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const light = lightBy('one', acts, gate);
    await bench.work([light]);
    const steps = ['a', 'b', 'c'].map((id, at) => ({
      id,
      task: light.name,
      after: at === 0 ? [] : [at - 1],
    }));
    await bench.store.createRun(planFor(steps, [light]), { by: 'ann', run: 'r' });
    const isActing = async () => (await bench.store.snapshot('r')).views[0]?.isActing === true;
    expect(await waitUntil(isActing, limitMs)).toBe(true);
    // what is at work here counts as the other version from now on
    const { redis } = bench.server;
    await redis.set(`${bench.prefix}:schema`, version);
    const written = async () => ({
      schema: await redis.get(`${bench.prefix}:schema`),
      meta: await redis.hgetall(`${bench.prefix}:{r}:meta`),
      events: await redis.xlen(`${bench.prefix}:{r}:ev`),
      runs: await redis.zrange(`${bench.prefix}:runs`, 0, -1),
    });
    const before = await written();
    const ours = await connectRedis(bench.server.socket, 'worker');
    await expect(openStore(ours, { prefix: bench.prefix })).rejects.toMatchObject({
      code: 'STORE_VERSION',
      message: expect.stringContaining(`the store was written by ${writer} cephflow`),
    });
    ours.disconnect();
    expect(await written()).toEqual(before);
    open();
    await becomes('r', 'succeeded');
    expect(acts).toEqual(['one: a', 'one: b', 'one: c']);
    expect(await redis.get(`${bench.prefix}:schema`)).toBe(version);
  });
}
