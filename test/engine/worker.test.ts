import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createControl } from '../../src/engine/control.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import type { Systems } from '../../src/engine/systems.ts';
import { startWorker, type Worker } from '../../src/engine/worker.ts';
import type { Answer } from '../../src/index.ts';
import type { RunEvent } from '../../src/run/events.ts';
import { type Task, task } from '../../src/task/task.ts';
import { fakeMarkers, ourInstance } from './fake-markers.ts';
import { planOf, type StepSketch } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';

const limitMs = 20_000;
/** The limits of a stop that waits for a Redis that is gone add up to less. */
const stopLimitMs = 40_000;
let server: PrivateRedis;
let prefix: string;
let store: Store;
const workers: Worker[] = [];
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  prefix = `t${Math.random().toString(36).slice(2)}`;
  store = await openStore(await connectRedis(server.socket, 'producer'), { prefix });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop(0);
  await store.close();
});

const systems = {
  read: () => ({ ceph: { osdMap: async () => ({ fsid: 'f51d' }) }, markers: fakeMarkers() }),
  act: () => ({}),
  close: async () => undefined,
} as unknown as Systems;

async function work(name: string, tasks: readonly Task[], socket = server.socket): Promise<Worker> {
  const redis = await connectRedis(socket, 'worker');
  const own = await openStore(redis, { prefix });
  const started = startWorker({
    redis,
    store: own,
    prefix,
    clusters: ['lab'],
    systemsFor: async () => systems,
    tasks: new Map(tasks.map((one) => [one.name, { task: one, file: one.name, hash: 'h1' }])),
    concurrency: 4,
    leaseMs: 2000,
    name,
    instance: ourInstance,
    log: () => undefined,
  });
  const worker = {
    stop: async (graceMs: number) => {
      await started.stop(graceMs);
      await own.close();
    },
  };
  workers.push(worker);
  return worker;
}

const planFor = (steps: readonly StepSketch[], tasks: readonly Task[]) =>
  planOf(steps, { tasks: Object.fromEntries(tasks.map(({ name }) => [name, 'h1'])) });

test('worker: two share a group, its chord waits for all of it, and the follower sees every event', async () => {
  const acts: number[] = [];
  const add = task({
    name: 'number.add',
    summary: 'Add',
    risk: 'changes',
    params: { n: { kind: 'integer', about: 'A number' } },
    run: async ({ n }) => {
      acts.push(Number(n));
    },
  });
  await Promise.all([work('one', [add]), work('two', [add])]);
  await expect.poll(async () => (await store.workers()).map(({ name }) => name)).toEqual(['one', 'two']);
  const members = Array.from({ length: 40 }, (_, n) => ({ id: `m${n}`, task: 'number.add', with: { n } }));
  const last = { id: 'last', task: 'number.add', with: { n: 99 }, after: members.map((_, n) => n) };
  const control = createControl(store);
  const run = await control.startRun(planFor([...members, last], [add]), { by: 'ann' });
  const events: RunEvent[] = [];
  for await (const event of control.follow(run, { signal: AbortSignal.timeout(limitMs) })) events.push(event);
  expect(events.at(-1)).toMatchObject({ kind: 'run-state-changed', state: 'succeeded' });
  expect([...acts].sort((a, b) => a - b)).toEqual([...members.map((_, n) => n), 99]);
  expect(acts.at(-1)).toBe(99);
  expect(events.filter(({ state }) => state === 'succeeded')).toHaveLength(42);
});

test('worker: waits, is answered by a person, and goes on', async () => {
  const ask = task({
    name: 'person.ask',
    summary: 'Ask',
    risk: 'reads',
    params: {},
    done: async (_values, { decision }): Promise<Answer> =>
      decision !== undefined || { waitingFor: 'a person', question: 'Ready?' },
  });
  await work('one', [ask]);
  const control = createControl(store);
  const run = await control.startRun(planFor([{ id: 'ask', task: 'person.ask' }], [ask]), { by: 'ann' });
  const asks = async () => (await control.snapshot(run)).views[0]?.waiting?.question === 'Ready?';
  expect(await waitUntil(asks, limitMs)).toBe(true);
  await expect(control.approve({ run, step: 'asc' }, { by: 'bob' })).rejects.toThrow(
    'the run has no step "asc". Did you mean "ask"?',
  );
  await control.approve({ run, step: 'ask' }, { by: 'bob', reason: 'seen it' });
  expect(await waitUntil(async () => (await control.snapshot(run)).state === 'succeeded', limitMs)).toBe(
    true,
  );
  expect((await store.audit(run)).map(({ act, by, reason }) => ({ act, by, reason }))).toContainEqual({
    act: 'decide',
    by: 'bob',
    reason: 'approved seen it',
  });
});

test('worker: one that stops gives its act grace, and leaves the rest to another', async () => {
  const done: string[] = [];
  let proceed: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  let isActing = false;
  const slow = task({
    name: 'work.slowly',
    summary: 'Work',
    risk: 'changes',
    params: {},
    run: async (_values, { step }) => {
      isActing = true;
      await gate;
      done.push(step.id);
    },
  });
  const first = await work('one', [slow]);
  const plan = planFor(
    [
      { id: 'a', task: 'work.slowly' },
      { id: 'b', task: 'work.slowly', after: [0] },
    ],
    [slow],
  );
  const run = await store.createRun(plan, { by: 'ann' });
  expect(await waitUntil(async () => isActing, limitMs)).toBe(true);
  const stopped = first.stop(limitMs);
  proceed();
  await stopped;
  workers.splice(0);
  expect(done).toEqual(['a']);
  expect((await store.snapshot(run)).states).toEqual(['succeeded', 'ready']);
  await work('two', [slow]);
  expect(await waitUntil(async () => (await store.snapshot(run)).state === 'succeeded', limitMs)).toBe(true);
  expect(done).toEqual(['a', 'b']);
});

test('worker: one that is stopped while Redis is down ends its act by the clock', async () => {
  const own = await startRedis();
  const seen = { isActing: false, isAborted: false };
  const slow = task({
    name: 'work.slowly',
    summary: 'Work',
    risk: 'changes',
    params: {},
    run: (_values, { signal }) =>
      new Promise<void>((_, reject) => {
        seen.isActing = true;
        signal.addEventListener('abort', () => {
          seen.isAborted = true;
          reject(signal.reason);
        });
      }),
  });
  try {
    const worker = await work('one', [slow], own.socket);
    const people = await openStore(await connectRedis(own.socket, 'producer'), { prefix });
    await people.createRun(planFor([{ id: 'a', task: 'work.slowly' }], [slow]), { by: 'ann' });
    await people.close();
    expect(await waitUntil(async () => seen.isActing, limitMs)).toBe(true);
    await own.kill();
    const ended = { isSo: false };
    const stopped = worker.stop(0).then(() => {
      ended.isSo = true;
    });
    workers.splice(0);
    expect(await waitUntil(async () => seen.isAborted, limitMs)).toBe(true);
    expect(await waitUntil(async () => ended.isSo, stopLimitMs)).toBe(true);
    await stopped;
  } finally {
    await own.stop();
  }
}, 90_000);
