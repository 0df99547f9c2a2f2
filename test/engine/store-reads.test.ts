import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainOf } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';
import { openRig, type Rig } from './store-rig.ts';

let server: PrivateRedis;
let rig: Rig;

beforeAll(async () => {
  server = await startRedis();
  rig = await openRig(server);
});
afterAll(async () => {
  await rig?.store.close();
  await server?.stop();
});

const refusal = (asked: Promise<unknown>) =>
  asked.then(
    () => 'not refused',
    (thrown: Error) => thrown.message,
  );

test('runs are found by a prefix and listed newest first', async () => {
  expect(await refusal(rig.store.findRun('@latest'))).toBe('there is no run yet');
  const ids = ['01aaa', '01aab', '01b', '01bc'];
  for (const run of ids) await rig.store.createRun(chainOf(1), { by: 'anna', run });
  expect(await rig.store.findRun('@latest')).toBe('01bc');
  expect(await rig.store.findRun('01AAA')).toBe('01aaa');
  expect(await rig.store.findRun('01b')).toBe('01b');
  expect(await refusal(rig.store.findRun('01a'))).toBe('more than one run begins with 01a: 01aaa, 01aab, …');
  expect(await refusal(rig.store.findRun('02'))).toBe('there is no run 02');
  expect((await rig.store.listRuns()).map(({ run }) => run)).toEqual([...ids].reverse());
  await rig.pass('01bc', 0);
  const unfinished = await rig.store.listRuns({ unfinished: true, limit: 2 });
  expect(unfinished.map(({ run, counts }) => [run, counts])).toEqual([
    ['01b', { ready: 1 }],
    ['01aab', { ready: 1 }],
  ]);
});

test('a run is created once, however often the creation is repeated', async () => {
  const run = '01same';
  await rig.store.createRun(chainOf(2), { by: 'anna', run });
  await rig.pass(run, 0);
  await rig.store.createRun(chainOf(2), { by: 'anna', run });
  expect(await rig.states(run)).toBe('sr');
});

test('a snapshot tells what happened, and events go on from it without a gap', async () => {
  const plan = chainOf(2);
  const run = await rig.store.createRun(plan, { by: 'anna', reason: 'disk broke' });
  expect(await rig.store.plan(run)).toEqual(plan);
  const before = await rig.store.snapshot(run);
  expect(before).toMatchObject({ state: 'running', by: 'anna', reason: 'disk broke', steps: 2 });
  const grant = await rig.claim(run, 0);
  await rig.store.log(grant, 'a word');
  await rig.store.complete(grant, { state: 'succeeded', acted: true, output: { created: 3 } });
  const after = await rig.store.snapshot(run);
  expect(after.views).toMatchObject([
    { step: 0, state: 'succeeded', attempt: 1, output: { created: 3 } },
    { step: 1, state: 'ready' },
  ]);
  const { begunMs = 0, endedMs = 0 } = after.views[0] ?? {};
  expect(begunMs).toBeGreaterThanOrEqual(before.createdMs);
  expect(endedMs).toBeGreaterThanOrEqual(begunMs);
  const events = await rig.store.events(run, before.lastSeq);
  expect(events.map(({ kind, step, state, text }) => [kind, step, state ?? text])).toEqual([
    ['step-state-changed', 0, 'running'],
    ['step-logged', 0, 'a word'],
    ['step-state-changed', 0, 'succeeded'],
    ['step-state-changed', 1, 'ready'],
  ]);
  expect(after.lastSeq).toBe(events.at(-1)?.seq);
  expect([...(await rig.store.outputs(run, [0, 1]))]).toEqual([[0, { created: 3 }]]);
});

test('a follower gets an event that comes later, and ends when told to', async () => {
  const run = await rig.store.createRun(chainOf(1), { by: 'anna' });
  const { lastSeq } = await rig.store.snapshot(run);
  const following = rig.store.events(run, lastSeq, { waitMs: 20_000 });
  await rig.claim(run, 0);
  const events = await following;
  expect(events.map(({ state }) => state)).toEqual(['running']);
  const stop = new AbortController();
  const ended = rig.store.events(run, events[0]?.seq ?? '', { waitMs: 600_000, signal: stop.signal });
  stop.abort();
  expect(await ended).toEqual([]);
});

test('another process reads the plan from the store', async () => {
  const plan = chainOf(2);
  const run = await rig.store.createRun(plan, { by: 'anna' });
  const other = await openRig(server);
  expect(await refusal(other.store.plan(run))).toBe(`there is no run ${run}`);
  await other.store.close();
  const { openStore } = await import('../../src/engine/store-open.ts');
  const { connectRedis } = await import('../../src/engine/redis.ts');
  const same = await openStore(await connectRedis(server.socket, 'producer'), { prefix: rig.prefix });
  expect(await same.plan(run)).toEqual(plan);
  await same.close();
});
