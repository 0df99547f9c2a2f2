import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StepError } from '../../src/engine/leases.ts';
import { chainOf, planOf } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';
import { openRig, type Rig } from './store-rig.ts';

let server: PrivateRedis;
let rig: Rig;
const me = { by: 'anna' };
const error: StepError = { code: 'COMMAND_FAILED', message: 'it broke' };

beforeAll(async () => {
  server = await startRedis();
  rig = await openRig(server);
});
afterAll(async () => {
  await rig?.store.close();
  await server?.stop();
});

const start = (plan = chainOf(3)) => rig.store.createRun(plan, me);

describe('graph', () => {
  test('a chain goes from step to step and ends the run', async () => {
    const run = await start();
    expect(await rig.states(run)).toBe('rpp');
    expect(await rig.store.takeReady(run)).toMatchObject([{ run, step: 0, delivery: 1 }]);
    await rig.pass(run, 0);
    expect(await rig.states(run)).toBe('srp');
    await rig.pass(run, 1, { acted: false });
    await rig.pass(run, 2);
    expect(await rig.states(run)).toBe('sss');
    expect(await rig.runState(run)).toBe('succeeded');
    expect(await rig.store.unfinishedRuns()).not.toContain(run);
  });

  test('a diamond joins only when both sides are done', async () => {
    const run = await start(
      planOf([
        { id: 'a' },
        { id: 'b', after: [0] },
        { id: 'c', after: [0] },
        { id: 'd', kind: 'barrier', after: [1, 2] },
      ]),
    );
    await rig.pass(run, 0);
    expect(await rig.steps(run)).toEqual([1, 2]);
    await rig.pass(run, 2);
    expect(await rig.states(run)).toBe('srsp');
    await rig.pass(run, 1);
    expect(await rig.states(run)).toBe('sssr');
  });

  test('the same predecessor named twice counts once', async () => {
    const run = await start(planOf([{ id: 'a' }, { id: 'b', after: [0, 0] }]));
    await rig.pass(run, 0);
    expect(await rig.states(run)).toBe('sr');
  });

  test('a run without steps succeeds at once', async () => {
    expect(await rig.runState(await start(planOf([])))).toBe('succeeded');
  });

  test('finally steps start when all of main has ended, and end the run', async () => {
    const run = await start(
      planOf([{ id: 'a' }, { id: 'f1', part: 'finally' }, { id: 'f2', part: 'finally', after: [0, 1] }]),
    );
    await rig.pass(run, 0);
    expect(await rig.states(run)).toBe('srp');
    await rig.pass(run, 1);
    await rig.pass(run, 2);
    expect(await rig.runState(run)).toBe('succeeded');
  });

  test('a finally step that fails does not stop the others; the run is left over', async () => {
    const run = await start(
      planOf([{ id: 'a' }, { id: 'f1', part: 'finally' }, { id: 'f2', part: 'finally', after: [1] }]),
    );
    await rig.pass(run, 0);
    await rig.pass(run, 1, { state: 'failed', error });
    expect(await rig.states(run)).toBe('sfr');
    await rig.pass(run, 2);
    expect(await rig.runState(run)).toBe('left-over');
  });

  test('a step with more successors than one slice makes all of them ready', async () => {
    const wide = Array.from({ length: 2500 }, (_, i) => ({ id: `m${i}`, after: [0] }));
    const run = await start(planOf([{ id: 'a' }, ...wide]));
    const done = await rig.store.complete(await rig.claim(run, 0), { state: 'succeeded', acted: true });
    expect(done.ready).toBeGreaterThan(0);
    expect(await rig.states(run)).toBe(`s${'r'.repeat(2500)}`);
  });

  test('slices that a dead worker left are finished by the tick', async () => {
    const wide = Array.from({ length: 1500 }, (_, i) => ({ id: `m${i}`, after: [0] }));
    const run = await start(planOf([{ id: 'a' }, ...wide]));
    await rig.pass(run, 0);
    // As it stood when the worker died after the first slice: the second one uncounted, its cursor kept.
    const key = (name: string) => `${rig.prefix}:{${run}}:${name}`;
    await server.redis.setrange(key('st'), 1001, 'p'.repeat(500));
    for (let i = 1001; i <= 1500; i += 1) {
      await server.redis.call('BITFIELD', key('dep'), 'SET', 'u32', `#${i}`, 1);
    }
    await server.redis.hset(key('cut'), '0', '1000');
    await server.redis.zadd(`${rig.prefix}:timers`, 0, `${run}|0`);
    await rig.fire(run, 0);
    expect(await rig.states(run)).toBe(`s${'r'.repeat(1500)}`);
  });
});

describe('tokens', () => {
  test('an old delivery, and one that nobody sent, are stale', async () => {
    const run = await start();
    const claim = (delivery: number) =>
      rig.store.claim({ run, step: 0, delivery, worker: 'w', leaseMs: 1000 });
    expect(await claim(0)).toEqual({ kind: 'stale' });
    expect(await claim(2)).toEqual({ kind: 'stale' });
    expect((await claim(1)).kind).toBe('granted');
    expect(await claim(1)).toEqual({ kind: 'stale' });
  });

  test('a step that has ended is done, a run that has ended is ended', async () => {
    const run = await start(chainOf(2));
    await rig.pass(run, 0);
    const claim = (step: number) => rig.store.claim({ run, step, delivery: 1, worker: 'w', leaseMs: 1000 });
    expect(await claim(0)).toEqual({ kind: 'done' });
    await rig.pass(run, 1);
    expect(await claim(1)).toEqual({ kind: 'ended' });
  });

  test('a repeated complete is a duplicate and counts once', async () => {
    const run = await start(planOf([{ id: 'a' }, { id: 'b' }, { id: 'c', after: [0, 1] }]));
    const grant = await rig.claim(run, 0);
    expect((await rig.store.complete(grant, { state: 'succeeded', acted: true })).kind).toBe('accepted');
    expect((await rig.store.complete(grant, { state: 'succeeded', acted: true })).kind).toBe('duplicate');
    expect(await rig.states(run)).toBe('srp');
  });

  test('whoever lost the lease writes nothing any more', async () => {
    const run = await start();
    const old = await rig.claim(run, 0);
    await rig.fire(run, 0);
    const held = await rig.claim(run, 0);
    expect(held.attempt).toBe(2);
    expect((await rig.store.complete(old, { state: 'succeeded', acted: true })).kind).toBe('lost');
    expect(await rig.store.acting(old)).toBe('lost');
    expect(await rig.store.remember(old, 1)).toBe('lost');
    expect(await rig.store.renewLease(old, 1000)).toBe('lost');
    expect(await rig.store.park(old, { untilMs: null, waiting: { reason: 'x' } })).toBe('lost');
    expect(await rig.states(run)).toBe('Rpp');
  });

  test('a completion of records that Redis has lost is refused although the step has not ended', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    const key = (name: string) => `${rig.prefix}:{${run}}:${name}`;
    await server.redis.setrange(key('st'), 0, 'r'); // the tail with the claim is gone
    expect((await rig.store.complete(grant, { state: 'succeeded', acted: true })).kind).toBe('lost');
    await server.redis.setrange(key('st'), 0, 'R'); // claimed by another meanwhile
    await server.redis.setrange(key('tok'), 0, 'othertok');
    expect((await rig.store.complete(grant, { state: 'succeeded', acted: true })).kind).toBe('lost');
    expect(await rig.states(run)).toBe('Rpp');
  });

  test('complete claims the next step in the same round trip', async () => {
    const run = await start();
    const next = { worker: 'w1', leaseMs: 60_000, count: 1, isPatient: true };
    const first = await rig.store.complete(await rig.claim(run, 0), {
      state: 'succeeded',
      acted: true,
      next,
    });
    const [firstNext] = first.next;
    expect(firstNext?.step).toBe(1);
    expect(await rig.states(run)).toBe('sRp');
    if (!firstNext) return;
    const second = await rig.store.complete(firstNext, { state: 'succeeded', acted: true, next });
    const [secondNext] = second.next;
    if (!secondNext) throw new Error('no next step');
    const last = await rig.store.complete(secondNext, { state: 'succeeded', acted: true, next });
    expect(last).toEqual({ kind: 'accepted', ready: 0, runState: 'succeeded', next: [] });
  });
});

describe('leases', () => {
  test('lost before the act: ready again as the next attempt', async () => {
    const run = await start();
    await rig.claim(run, 0);
    await rig.fire(run, 0);
    expect(await rig.states(run)).toBe('rpp');
    expect(await rig.claim(run, 0)).toMatchObject({ mode: 'act', attempt: 2, delivery: 2 });
  });

  test('lost after the act began: unknown, and only to be verified', async () => {
    const run = await start();
    expect(await rig.store.acting(await rig.claim(run, 0))).toBe('accepted');
    await rig.fire(run, 0);
    expect(await rig.states(run)).toBe('?pp');
    const grant = await rig.claim(run, 0);
    expect(grant.mode).toBe('verify');
    expect(grant.hasBegun).toBe(true);
    expect(await rig.store.verified(grant)).toBe('accepted');
    await rig.fire(run, 0);
    expect((await rig.claim(run, 0)).mode).toBe('act');
  });

  test('lost after the act returned: its effect is read back, with its output', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    await rig.store.acting(grant);
    await rig.store.acted(grant, { created: 2 });
    await rig.fire(run, 0);
    expect(await rig.claim(run, 0)).toMatchObject({ mode: 'read-back', output: { created: 2 } });
  });

  test('renewing moves the end; early ticks do nothing', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    expect(await rig.store.renewLease(grant, 60_000)).toBe('accepted');
    await rig.store.tick({ epoch: 1_000_000, isQueued: async () => false });
    expect(await rig.states(run)).toBe('Rpp');
  });

  test('a delivery that stands in the queue is left there, a lost one is sent anew', async () => {
    const run = await start();
    expect(await rig.steps(run)).toEqual([0]);
    await rig.fire(run, 0, true);
    expect(await rig.steps(run)).toEqual([]);
    await rig.fire(run, 0, false);
    expect(await rig.store.takeReady(run)).toMatchObject([{ run, step: 0, delivery: 2 }]);
  });

  test('an overtaken leader changes nothing', async () => {
    const run = await start();
    await rig.claim(run, 0);
    expect(await rig.store.lead('one', 60_000)).toBe(1);
    expect(await rig.store.lead('two', 60_000)).toBeUndefined();
    expect(await rig.store.lead('one', 60_000)).toBe(1);
    await rig.store.resign('one');
    expect(await rig.store.lead('two', 60_000)).toBe(2);
    await server.redis.zadd(`${rig.prefix}:timers`, 'XX', 0, `${run}|0`);
    const ticked = await rig.store.tick({ epoch: 1, isQueued: async () => false });
    expect(ticked.isFenced).toBe(true);
    expect(await rig.states(run)).toBe('Rpp');
    await rig.store.tick({ epoch: 2, isQueued: async () => false });
    expect(await rig.states(run)).toBe('rpp');
  });
});
