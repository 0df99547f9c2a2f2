import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'bullmq';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDispatcher, type Dispatcher } from '../../src/engine/dispatcher.ts';
import { startLeader } from '../../src/engine/leader.ts';
import { openQueue, startConsumer } from '../../src/engine/queue.ts';
import type { Delivery, Store } from '../../src/engine/store.ts';
import { chainOf, planOf } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';
import { openRig, type Rig } from './store-rig.ts';

let server: PrivateRedis;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server?.stop();
});

const fail = (error: unknown) => {
  throw error;
};

async function until(what: () => Promise<boolean>, limitMs = 20_000): Promise<void> {
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(20)) {
    if (await what()) return;
  }
  throw new Error('it did not come to be within its limit');
}

const dispatcherOf = ({ store, redis, prefix }: Rig): Dispatcher =>
  createDispatcher({
    store,
    openQueue: (cluster) => openQueue(redis, { prefix, cluster }),
    onError: fail,
  });

/** A worker that does nothing with a step but end it. */
const consumerOf = ({ store, redis, prefix }: Rig, dispatcher: Dispatcher, seen: Delivery[]) =>
  startConsumer(redis, {
    prefix,
    cluster: 'lab',
    concurrency: 20,
    onError: fail,
    handle: async (delivery) => {
      seen.push(delivery);
      const answer = await store.claim({ ...delivery, worker: 'w', leaseMs: 30_000 });
      if (answer.kind !== 'granted') return;
      const done = await store.complete(answer.grant, { state: 'succeeded', acted: true });
      if (done.ready > 0) dispatcher.poke(delivery.run);
    },
  });

const end = async (store: Store, run: string) => (await store.snapshot(run)).state === 'succeeded';

test('a run goes through the queue from end to end, each step once', async () => {
  const rig = await openRig(server, 100);
  const dispatcher = dispatcherOf(rig);
  const seen: Delivery[] = [];
  const consumer = consumerOf(rig, dispatcher, seen);
  const wide = Array.from({ length: 350 }, (_, i) => ({ id: `m${i}`, after: [0] }));
  const join = { id: 'join', kind: 'barrier' as const, after: wide.map((_, i) => i + 1) };
  const run = await rig.store.createRun(planOf([{ id: 'a' }, ...wide, join]), { by: 'anna' });
  dispatcher.poke(run);
  await until(() => end(rig.store, run));
  expect(seen.map(({ step }) => step).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 352 }, (_, i) => i),
  );
  await consumer.close();
  await dispatcher.close();
  await rig.store.close();
});

test('no more stands in the queue than the dispatch window', async () => {
  const rig = await openRig(server, 10);
  const run = await rig.store.createRun(planOf(Array.from({ length: 30 }, (_, i) => ({ id: `m${i}` }))), {
    by: 'anna',
  });
  expect(await rig.steps(run)).toHaveLength(10);
  expect(await rig.steps(run)).toEqual([]);
  for (let step = 0; step < 5; step += 1) await rig.pass(run, step);
  expect(await rig.steps(run)).toEqual([10, 11, 12, 13, 14]);
  await rig.store.close();
});

test('the leader sends what a dead process left in the outbox, and wakes what waits', async () => {
  const rig = await openRig(server);
  const run = await rig.store.createRun(chainOf(3), { by: 'anna' });
  const first = await rig.claim(run, 0);
  const { nowMs } = await rig.store.snapshot(run);
  await rig.store.park(first, { untilMs: nowMs + 50, waiting: { reason: 'a moment' } });
  const dispatcher = dispatcherOf(rig);
  const seen: Delivery[] = [];
  const consumer = consumerOf(rig, dispatcher, seen);
  const leader = startLeader({ id: 'l1', store: rig.store, dispatcher, onError: fail });
  await until(() => end(rig.store, run));
  await leader.stop();
  expect(await rig.store.lead('another', 1000)).toBe(2);
  await consumer.close();
  await dispatcher.close();
  await rig.store.close();
});

test('a delivery counts as queued until it is taken, and the same one is not added twice', async () => {
  const rig = await openRig(server);
  const queue = openQueue(rig.redis, { prefix: rig.prefix, cluster: 'lab' });
  const delivery = { run: 'r', step: 0, delivery: 1 };
  expect(await queue.isQueued(delivery)).toBe(false);
  await queue.send([delivery, delivery]);
  expect(await queue.isQueued(delivery)).toBe(true);
  const seen: Delivery[] = [];
  const consumer = consumerOf(rig, dispatcherOf(rig), seen);
  await until(async () => !(await queue.isQueued(delivery)));
  expect(seen).toEqual([delivery]);
  await consumer.close();
  await queue.close();
  await rig.store.close();
});

test('a job whose worker died is not run again by the queue', async () => {
  const rig = await openRig(server);
  const queue = openQueue(rig.redis, { prefix: rig.prefix, cluster: 'lab' });
  const delivery = { run: 'r', step: 7, delivery: 1 };
  await queue.send([delivery]);
  const options = {
    connection: rig.redis.duplicate({ maxRetriesPerRequest: null }),
    prefix: `${rig.prefix}:queue`,
  };
  const dead = new Worker('steps-lab', null, {
    ...options,
    autorun: false,
    lockDuration: 50,
    lockRenewTime: 1e9,
  });
  expect((await dead.getNextJob('token'))?.data).toEqual(delivery);
  const checker = new Worker('steps-lab', null, {
    ...options,
    autorun: false,
    maxStalledCount: 0,
    stalledInterval: 50,
  });
  await checker.startStalledCheckTimer();
  const seen: Delivery[] = [];
  const complaints: unknown[] = [];
  const consumer = startConsumer(rig.redis, {
    prefix: rig.prefix,
    cluster: 'lab',
    concurrency: 1,
    onError: (error) => complaints.push(error),
    handle: async (one) => {
      seen.push(one);
    },
  });
  await until(async () => !(await queue.isQueued(delivery)));
  expect(seen).toEqual([]);
  await Promise.all([dead.close(true), checker.close(true), consumer.close(), queue.close()]);
  // nobody has to do anything about it
  expect(complaints).toEqual([]);
  options.connection.disconnect();
  await rig.store.close();
});

test('closing a consumer tells its handlers to stop', async () => {
  const rig = await openRig(server);
  const queue = openQueue(rig.redis, { prefix: rig.prefix, cluster: 'lab' });
  const told: string[] = [];
  const consumer = startConsumer(rig.redis, {
    prefix: rig.prefix,
    cluster: 'lab',
    concurrency: 1,
    onError: fail,
    handle: (_, stopping) =>
      new Promise((resolve) => {
        told.push('begun');
        stopping.addEventListener('abort', () => {
          told.push('stopped');
          resolve();
        });
      }),
  });
  await queue.send([{ run: 'r', step: 0, delivery: 1 }]);
  await until(async () => told.length === 1);
  await consumer.close();
  expect(told).toEqual(['begun', 'stopped']);
  await queue.close();
  await rig.store.close();
});
