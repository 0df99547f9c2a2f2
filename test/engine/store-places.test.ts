import { afterAll, beforeAll, expect, test } from 'vitest';
import { planOf, type StepSketch } from './plans.ts';
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

const me = { by: 'anna' };
const failed = { state: 'failed', error: { code: 'COMMAND_FAILED', message: 'broke' } } as const;

/** Start a run of one group with one place; each text is a member (its digit) and a part (m or f). */
function start(sketches: readonly string[]): Promise<string> {
  const memberSizes: number[] = [];
  const steps = sketches.map((sketch, index): StepSketch => {
    const member = Number(sketch[0]);
    memberSizes[member] = (memberSizes[member] ?? 0) + 1;
    const part = sketch[1] === 'f' ? 'finally' : 'main';
    return { id: `s${index}`, part, places: [{ group: 0, member }] };
  });
  return rig.store.createRun(planOf(steps, { groups: [{ id: 'g', maxParallel: 1, memberSizes }] }), me);
}

async function expectNoPlace(run: string, step: number): Promise<void> {
  const delivery = await rig.delivery(run, step);
  const answer = await rig.store.claim({ run, step, delivery, worker: 'w', leaseMs: 60_000 });
  expect(answer.kind).toBe('no-place');
}

const tick = () => rig.store.tick({ epoch: 9e9, isQueued: async () => true });

test('places: a member with more steps than are woken at once is woken as a whole', async () => {
  const wide = 40;
  const run = await start([...Array(wide).fill('0m'), ...Array(wide).fill('1m')]);
  await rig.claim(run, 0).then((grant) => rig.store.complete(grant, { state: 'succeeded', acted: true }));
  for (let step = wide; step < 2 * wide; step += 1) await expectNoPlace(run, step);
  for (let step = 1; step < wide; step += 1) await rig.pass(run, step);
  await tick();
  expect((await rig.states(run)).slice(wide)).toBe('r'.repeat(wide));
  for (let step = wide; step < 2 * wide; step += 1) await rig.pass(run, step);
  expect(await rig.runState(run)).toBe('succeeded');
});

test('places: members whose steps stand among each other are woken as a whole too', async () => {
  const run = await start(['0m', '1m', '2m', '1m', '2m']);
  const busy = await rig.claim(run, 0);
  for (const step of [1, 2, 3, 4]) await expectNoPlace(run, step);
  await rig.store.complete(busy, { state: 'succeeded', acted: true });
  expect(await rig.states(run)).toBe('srwrw');
});

test('places: what waits for a member goes on when a sibling has begun it', async () => {
  const run = await start(['0m', '1m', '2m', '2m']);
  const busy = await rig.claim(run, 0);
  for (const step of [1, 3]) await expectNoPlace(run, step);
  await rig.store.complete(busy, { state: 'succeeded', acted: true });
  // member 1 got the place and ends; member 2 is given it, then all of member 2 may go on
  await rig.pass(run, 1);
  expect(await rig.states(run)).toBe('ssrr');
});

test('places: a skipped waiter hands its turn on', async () => {
  const wide = 40;
  const run = await start(['0m', ...Array(wide).fill('1m')]);
  const busy = await rig.claim(run, 0);
  for (let step = 1; step <= wide; step += 1) await expectNoPlace(run, step);
  await rig.store.complete(busy, { state: 'succeeded', acted: true });
  const states = await rig.states(run);
  const timed = await Promise.all(
    [...states].map(async (state, step) => {
      const due = await server.redis.zscore(`${rig.prefix}:timers`, `${run}|${step}`);
      return state === 'w' && due !== null ? step : -1;
    }),
  );
  const next = timed.find((step) => step >= 0) ?? -1;
  expect(next).toBeGreaterThan(0);
  await rig.store.skip(run, next, me);
  await tick();
  expect((await rig.states(run)).includes('w')).toBe(false);
});

test('places: finally steps of an aborted run get the places that others give back', async () => {
  const run = await start(['0m', '1f', '2f']);
  await rig.store.abort(run, me);
  expect(await rig.states(run)).toBe('crr');
  const busy = await rig.claim(run, 1);
  await expectNoPlace(run, 2);
  await rig.store.complete(busy, { state: 'succeeded', acted: true });
  expect(await rig.states(run)).toBe('csr');
  await rig.pass(run, 2);
  expect(await rig.runState(run)).toBe('aborted');
});

test('places: a failed step of an aborted run gives its place back', async () => {
  const early = await start(['0m', '1f']);
  await rig.pass(early, 0, failed);
  await rig.store.abort(early, me);
  await rig.pass(early, 1);
  expect(await rig.runState(early)).toBe('aborted');
  const late = await start(['0m', '1f']);
  const busy = await rig.claim(late, 0);
  await rig.store.abort(late, me);
  await rig.store.complete(busy, { ...failed, acted: false });
  await rig.pass(late, 1);
  expect(await rig.runState(late)).toBe('aborted');
});
