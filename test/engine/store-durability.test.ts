import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { task } from '../../src/task/task.ts';
import { chainOf, planOf } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';
import { openBench } from './step-bench.ts';
import { openRig, type Rig } from './store-rig.ts';

const open: { server?: PrivateRedis; rig?: Rig } = {};

async function begin(options: readonly string[] = []): Promise<{ server: PrivateRedis; rig: Rig }> {
  const server = await startRedis(options);
  open.server = server;
  const rig = await openRig(server);
  open.rig = rig;
  return { server, rig };
}

afterEach(async () => {
  const { rig, server } = open;
  delete open.rig;
  delete open.server;
  await rig?.store.close();
  await server?.stop();
});

const done = { state: 'succeeded', acted: true } as const;
const isQueued = async () => false;

test('a Redis that is killed has kept everything it answered, and the store goes on', async () => {
  const { server, rig } = await begin();
  const run = await rig.store.createRun(chainOf(3), { by: 'anna' });
  await rig.pass(run, 0);
  const grant = await rig.claim(run, 1);
  await rig.store.acting(grant);
  await server.kill();
  const completing = rig.store.complete(grant, done);
  await server.start();
  expect((await completing).kind).toBe('accepted');
  expect(await rig.states(run)).toBe('ssr');
  expect(await rig.store.confirmDurable()).toMatch(/^[0-9a-f]{40}$/);
});

test('with a tail of records lost, a late completion is refused and the step is done again', async () => {
  const { server, rig } = await begin();
  const run = await rig.store.createRun(
    planOf([{ id: 'a' }, { id: 'b', after: [0] }, { id: 'c', after: [1] }]),
    {
      by: 'anna',
    },
  );
  await rig.pass(run, 0);
  const folder = join(server.folder, 'appendonlydir');
  const log = join(folder, (await readdir(folder)).find((name) => name.endsWith('.incr.aof')) ?? 'none');
  const { size } = await stat(log);
  const late = await rig.claim(run, 1);
  await server.kill();
  await truncate(log, size); // the claim is forgotten, as by a failover
  await server.start();
  expect((await rig.store.complete(late, done)).kind).toBe('lost');
  expect(await rig.states(run)).toBe('srp');
  const again = await rig.claim(run, 1);
  expect((await rig.store.complete(late, done)).kind).toBe('lost');
  expect((await rig.store.complete(again, done)).kind).toBe('accepted');
  expect((await rig.store.complete(again, done)).kind).toBe('duplicate');
  await rig.pass(run, 2);
  expect(await rig.runState(run)).toBe('succeeded');
});

test('an act that destroys begins only when the record of it is with the Redis that confirmed it', async () => {
  const { server, rig } = await begin();
  const folder = join(server.folder, 'appendonlydir');
  const log = join(folder, (await readdir(folder)).find((name) => name.endsWith('.incr.aof')) ?? 'none');
  const begun: unknown[] = [];
  const purge = task({
    name: 'osd.purge',
    summary: 'Purge',
    risk: 'destroys-data',
    params: {},
    done: async () => begun.length > 0 || { waitingFor: 'the purge' },
    blockers: async () => [],
    run: async (_values, { step }) => {
      begun.push((await bench.view(step.run)).isActing);
    },
  });
  let isLost = false;
  const acting: typeof rig.store.acting = async (held) => {
    const { size } = await stat(log);
    const written = await rig.store.acting(held);
    if (isLost) return written;
    isLost = true;
    await server.kill();
    await truncate(log, size); // power is cut: the record that the act begins is not on the disk
    await server.start();
    return written;
  };
  const bench = openBench(rig, [purge], { store: { ...rig.store, acting } });
  const run = await bench.start([{ id: 'purge', task: 'osd.purge' }]);
  await bench.deliver(run);
  expect(isLost).toBe(true);
  expect(begun).toEqual([true]);
});

test('one thing that cannot be handled keeps the leader from nothing else', async () => {
  const { rig } = await begin();
  const [one, two] = [
    await rig.store.createRun(chainOf(1), { by: 'anna' }),
    await rig.store.createRun(chainOf(2), { by: 'anna' }),
  ];
  await rig.store.recordHold(await rig.claim(two, 0), { renewMs: 1, expiresMs: 9e15 });
  await rig.steps(one);
  await rig.redis.zadd(`${rig.prefix}:timers`, 'XX', 1, `${one}|0`);
  const tick = () =>
    rig.store.tick({
      epoch: 1,
      isQueued: async () => {
        throw new Error('the queue does not answer');
      },
    });
  const ticked = await tick();
  expect(ticked.renewals).toMatchObject([{ run: two, step: 0, renew: true }]);
  expect(ticked.faults).toMatchObject([{ message: 'the queue does not answer' }]);
  // it is not due again at once
  expect(ticked.nextDueMs).toBeGreaterThan(ticked.nowMs);
  expect((await tick()).faults).toEqual([]);
});

test('what a dead process had taken out of the outbox is sent anew', async () => {
  const { rig } = await begin();
  const run = await rig.store.createRun(chainOf(1), { by: 'anna' });
  expect(await rig.steps(run)).toEqual([0]);
  expect(await rig.store.runsToDispatch()).toEqual([]);
  await rig.fire(run, 0);
  expect((await rig.store.tick({ epoch: 9e9, isQueued })).runs).toEqual([run]);
});

test('durability is not promised where the log is not synced', async () => {
  const { rig } = await begin(['--appendonly', 'no']);
  expect(await rig.store.confirmDurable()).toBe(false);
});

const refusal = async (asked: Promise<unknown>) =>
  asked.then(
    () => 'not refused',
    (thrown: { code: string; message: string }) => `${thrown.code} ${thrown.message}`,
  );

test('a Redis that is not there is named with its address', async () => {
  expect(await refusal(connectRedis('/nowhere/redis.sock', 'worker'))).toBe(
    'REDIS_UNREACHABLE Redis at /nowhere/redis.sock does not answer: connect ENOENT /nowhere/redis.sock',
  );
  expect(await refusal(connectRedis('redis://:secret@127.0.0.1:1/', 'producer'))).toBe(
    'REDIS_UNREACHABLE Redis at redis://127.0.0.1:1 does not answer: connect ECONNREFUSED 127.0.0.1:1',
  );
  const place = { sentinels: ['127.0.0.1:1', '127.0.0.1:2'], name: 'mymaster', password: 'secret' };
  const thrown = await connectRedis(place, 'producer').catch((error: unknown) => error);
  expect(thrown).toMatchObject({
    code: 'REDIS_UNREACHABLE',
    message:
      'Redis at mymaster (of the sentinels at 127.0.0.1:1, 127.0.0.1:2) does not answer: none of the sentinels gives its address',
    hint: 'is it running? check redis.sentinels and redis.name in the config and try again',
  });
});

test('a Redis that goes away fails a command of a person within seconds', async () => {
  const { server } = await begin();
  const store = await openStore(await connectRedis(server.socket, 'producer'), { prefix: 'p' });
  await server.kill();
  expect(await refusal(store.listRuns())).toMatch(
    new RegExp(`^REDIS_UNREACHABLE Redis at ${server.socket} does not answer: `),
  );
  await store.close();
  await server.start();
});

test('a Redis that may evict keys is refused', async () => {
  const { server } = await begin();
  await server.redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  expect(await refusal(connectRedis(server.socket, 'worker'))).toBe(
    `REDIS_UNSUITABLE Redis at ${server.socket} may throw records away when memory is short (maxmemory-policy is allkeys-lru)`,
  );
});

test('a Redis Cluster is refused', async () => {
  const server = await startRedis(['--cluster-enabled', 'yes']);
  open.server = server;
  expect(await refusal(connectRedis(server.socket, 'worker'))).toBe(
    `REDIS_UNSUITABLE Redis at ${server.socket} is a Redis Cluster: the timers of all runs must be on one primary`,
  );
});

test('a store of another version is refused', async () => {
  const { server } = await begin();
  await server.redis.set('new:schema', '3');
  await server.redis.set('old:schema', '1');
  const redis = await connectRedis(server.socket, 'producer');
  expect(await refusal(openStore(redis, { prefix: 'new' }))).toBe(
    'STORE_VERSION the store was written by a newer cephflow (its version is 3, this one knows 2)',
  );
  expect(await refusal(openStore(redis, { prefix: 'old' }))).toBe(
    'STORE_VERSION the store was written by an older cephflow (its version is 1, this one knows 2)',
  );
  redis.disconnect();
});
