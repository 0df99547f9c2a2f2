import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StepError } from '../../src/engine/leases.ts';
import { chainOf, planOf } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';
import { openRig, type Rig } from './store-rig.ts';

let server: PrivateRedis;
let rig: Rig;
const me = { by: 'anna', reason: 'because' };
const error: StepError = { code: 'COMMAND_FAILED', message: 'it broke' };
const failed = { state: 'failed', error } as const;

beforeAll(async () => {
  server = await startRedis();
  rig = await openRig(server);
});
afterAll(async () => {
  await rig?.store.close();
  await server?.stop();
});

const start = (plan = chainOf(3)) => rig.store.createRun(plan, me);
const refusal = (asked: Promise<unknown>) =>
  asked.then(
    () => 'not refused',
    (thrown: Error) => thrown.message,
  );

describe('failed', () => {
  test('a failed step stops its dependents, not its neighbours; retry brings the run back', async () => {
    const run = await start(
      planOf([{ id: 'a' }, { id: 'b' }, { id: 'c', after: [0] }, { id: 'f', part: 'finally' }]),
    );
    await rig.pass(run, 0, failed);
    expect(await rig.runState(run)).toBe('failed');
    await rig.pass(run, 1);
    expect(await rig.states(run)).toBe('fspp');
    expect(await rig.store.retry(run, undefined, me)).toBe(1);
    expect(await rig.runState(run)).toBe('running');
    const again = await rig.claim(run, 0);
    expect(again).toMatchObject({ attempt: 2, retries: 0, mode: 'act' });
    await rig.store.complete(again, { state: 'succeeded', acted: true });
    await rig.pass(run, 2);
    await rig.pass(run, 3);
    expect(await rig.runState(run)).toBe('succeeded');
  });

  test('skipping a failed step lets its dependents go on', async () => {
    const run = await start();
    await rig.pass(run, 0, failed);
    await rig.store.skip(run, 0, me);
    expect(await rig.states(run)).toBe('krp');
    expect(await rig.runState(run)).toBe('running');
  });

  test('an act that may have happened is verified after a retry', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    await rig.store.acting(grant);
    await rig.store.complete(grant, { ...failed, acted: true, mayHaveActed: true });
    await rig.store.retry(run, 0, me);
    expect((await rig.claim(run, 0)).mode).toBe('verify');
  });

  test('automatic retries count and wait; the first memory stays', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    expect(await rig.store.remember(grant, { weight: 1 })).toEqual({ weight: 1 });
    expect(await rig.store.retryLater(grant, { delayMs: 60_000, error })).toBe('accepted');
    const { views } = await rig.store.snapshot(run);
    expect(views[0]).toMatchObject({
      state: 'waiting',
      error,
      waiting: { reason: 'tries again after: it broke' },
    });
    await rig.fire(run, 0);
    const second = await rig.claim(run, 0);
    expect(second).toMatchObject({ attempt: 2, retries: 1, remembered: { weight: 1 } });
    expect(await rig.store.remember(second, { weight: 0 })).toEqual({ weight: 1 });
  });
});

describe('waiting', () => {
  test('a parked step is asked again when its time has come, and remembers', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    const waiting = { reason: '3 PGs left', progress: { value: 1, target: 4, unit: 'PGs' } };
    const untilMs = grant.nowMs + 60_000;
    expect(await rig.store.park(grant, { untilMs, waiting, observed: { good: 1 } })).toBe('accepted');
    const { views } = await rig.store.snapshot(run);
    expect(views[0]?.waiting).toMatchObject({ ...waiting, nextAskMs: untilMs });
    await rig.fire(run, 0);
    expect(await rig.claim(run, 0)).toMatchObject({ observed: { good: 1 }, attempt: 1, delivery: 2 });
  });

  test('a step that asks a person waits without a timer, and gets the first answer', async () => {
    const run = await start();
    const waiting = { reason: 'swapped?', question: 'Is the hardware swapped?' };
    await rig.store.park(await rig.claim(run, 0), { untilMs: null, waiting });
    expect(await server.redis.zscore(`${rig.prefix}:timers`, `${run}|0`)).toBeNull();
    const yes = { verdict: 'approved', by: 'bert', comment: 'done' } as const;
    await rig.store.decide(run, 0, { ...yes, request: 'q1' });
    await rig.store.decide(run, 0, { ...yes, request: 'q1' });
    expect(await refusal(rig.store.decide(run, 0, { ...yes, verdict: 'rejected' }))).toBe(
      `cannot decide step 0 of run ${run}: bert has approved it already`,
    );
    const { decision } = await rig.claim(run, 0);
    expect(decision).toMatchObject(yes);
    expect(decision?.atMs).toBeGreaterThan(1_600_000_000_000);
    expect((await rig.store.audit(run)).map(({ act, by }) => `${act} ${by}`)).toEqual([
      'start anna',
      'decide bert',
    ]);
  });

  test('nothing is decided where nothing was asked', async () => {
    const run = await start();
    const yes = { verdict: 'approved', by: 'bert', comment: '' } as const;
    expect(await refusal(rig.store.decide(run, 1, yes))).toBe(
      `cannot decide step 1 of run ${run}: the step asks nothing: it is pending`,
    );
  });

  test('a wake while the step is being asked is not lost', async () => {
    const run = await start();
    const waiting = { reason: 'swapped?', question: 'Swapped?' };
    await rig.store.park(await rig.claim(run, 0), { untilMs: null, waiting });
    expect(await rig.store.wake(run, 0)).toBe(true);
    const asked = await rig.claim(run, 0);
    await rig.store.decide(run, 0, { verdict: 'approved', by: 'bert', comment: '' });
    await rig.store.park(asked, { untilMs: null, waiting });
    expect(await rig.states(run)).toBe('rpp');
    expect((await rig.claim(run, 0)).decision?.verdict).toBe('approved');
  });
});

describe('control', () => {
  test('abort cancels what has not begun, lets what runs end, then does the finally steps', async () => {
    const steps = [{ id: 'a' }, { id: 'b' }, { id: 'c', after: [0] }, { id: 'f', part: 'finally' as const }];
    const run = await start(planOf(steps, { locks: [{ name: 'node/x', capacity: 1 }] }));
    const busy = await rig.claim(run, 0);
    await rig.store.abort(run, me);
    expect(await rig.states(run)).toBe('Rccp');
    expect(await rig.store.acting(busy)).toBe('aborting');
    await rig.store.complete(busy, { state: 'succeeded', acted: true });
    expect(await rig.states(run)).toBe('sccr');
    await rig.pass(run, 3);
    expect(await rig.runState(run)).toBe('aborted');
    expect(await refusal(rig.store.abort(run, me))).toBe(
      `cannot abort run ${run}: the run is over: it aborted`,
    );
  });

  test('abort of a failed run starts the finally steps', async () => {
    const run = await start(planOf([{ id: 'a' }, { id: 'f', part: 'finally' }]));
    await rig.pass(run, 0, failed);
    await rig.store.abort(run, me);
    expect(await rig.states(run)).toBe('fr');
  });

  test('abort does not throw away an act whose end is unknown', async () => {
    const run = await start(planOf([{ id: 'a' }, { id: 'f', part: 'finally' }]));
    await rig.store.acting(await rig.claim(run, 0));
    await rig.fire(run, 0);
    await rig.store.abort(run, me);
    expect(await rig.states(run)).toBe('?p');
    const grant = await rig.claim(run, 0);
    await rig.store.park(grant, {
      untilMs: null,
      waiting: { reason: 'unknown', question: 'Did it happen?' },
    });
    expect(await rig.states(run)).toBe('wp');
    await rig.store.skip(run, 0, me);
    expect(await rig.states(run)).toBe('kr');
  });

  test('a step parked in an aborted run is cancelled', async () => {
    const run = await start();
    const grant = await rig.claim(run, 0);
    await rig.store.abort(run, me);
    await rig.store.park(grant, { untilMs: null, waiting: { reason: 'later' } });
    expect(await rig.states(run)).toBe('ccc');
    expect(await rig.runState(run)).toBe('aborted');
  });

  test('what cannot be skipped or retried says why', async () => {
    const run = await start();
    await rig.claim(run, 0);
    const cannot = (act: string, step: number) => `cannot ${act} step ${step} of run ${run}: the step is `;
    expect(await refusal(rig.store.skip(run, 0, me))).toBe(
      `${cannot('skip', 0)}running: a worker is busy with it; wait until it has ended or waits`,
    );
    expect(await refusal(rig.store.skip(run, 1, me))).toBe(
      `${cannot('skip', 1)}pending: it has not begun; skip what it waits for, or wait until it is ready`,
    );
    expect(await refusal(rig.store.retry(run, 1, me))).toBe(
      `${cannot('retry', 1)}pending: only a failed or waiting one can be retried`,
    );
    expect(await refusal(rig.store.retry(run, undefined, me))).toBe(
      `cannot retry run ${run}: no step has failed`,
    );
    expect(await refusal(rig.store.skip(run, 9, me))).toBe(`run ${run} has no step number 9`);
    expect(await refusal(rig.store.abort('nope', me))).toBe('there is no run nope');
  });

  test('a request that is repeated is done once and audited once', async () => {
    const run = await start();
    await rig.pass(run, 0, failed);
    await rig.store.retry(run, 0, { ...me, request: 'x' });
    await rig.pass(run, 0, failed);
    await rig.store.retry(run, 0, { ...me, request: 'x' });
    expect(await rig.states(run)).toBe('fpp');
    expect(await rig.store.audit(run)).toHaveLength(2);
  });
});

describe('locks and places', () => {
  test('two runs do not hold the same lock; the end of the first gives it back', async () => {
    const plan = () => planOf([{ id: 'a' }], { locks: [{ name: 'node/y', capacity: 1 }] });
    const run = await start(plan());
    expect(await refusal(start(plan()))).toBe(`run ${run} holds node/y, which this run needs`);
    await rig.pass(run, 0);
    expect(await rig.runState(await start(plan()))).toBe('running');
  });

  test('max-parallel: a place is given back when all steps of the member have ended', async () => {
    const groups = [{ id: 'g', maxParallel: 1, memberSizes: [2, 2] }];
    const place = (member: number) => ({ places: [{ group: 0, member }] });
    const steps = [
      { id: 'a0', ...place(0) },
      { id: 'a1', after: [0], ...place(0) },
      { id: 'b0', ...place(1) },
      { id: 'b1', after: [2], ...place(1) },
    ];
    const run = await start(planOf(steps, { groups }));
    await rig.pass(run, 0);
    const claim = { run, step: 2, delivery: 1, worker: 'w', leaseMs: 1000 };
    expect(await rig.store.claim(claim)).toEqual({ kind: 'no-place' });
    const { views } = await rig.store.snapshot(run);
    expect(views.find(({ step }) => step === 2)?.waiting?.reason).toBe(
      'waits for a place: 1 member of its group at once',
    );
    await rig.pass(run, 1);
    expect(await rig.states(run)).toBe('ssrp');
    await rig.pass(run, 2);
    await rig.pass(run, 3);
    expect(await rig.runState(run)).toBe('succeeded');
  });

  test('one act that stops or destroys at a time on a cluster; the next is woken', async () => {
    const [one, two] = [await start(), await start()];
    const [first, second] = [await rig.claim(one, 0), await rig.claim(two, 0)];
    expect(await rig.store.takeActLock(first, 'c1')).toEqual({ held: true });
    expect(await rig.store.takeActLock(first, 'c1')).toEqual({ held: true });
    expect(await rig.store.takeActLock(second, 'c1')).toEqual({ held: false, holder: { run: one, step: 0 } });
    expect(await rig.store.takeActLock(second, 'c2')).toEqual({ held: true });
    await rig.store.releaseActLock(second, 'c2');
    await rig.store.park(second, { untilMs: null, waiting: { reason: 'act lock' } });
    await rig.store.complete(first, { state: 'succeeded', acted: true });
    expect(await rig.states(two)).toBe('rpp');
    expect(await rig.store.takeActLock(await rig.claim(two, 0), 'c1')).toEqual({ held: true });
  });

  test('the act lock stays with a step whose act is unknown, and ends with one that had not begun', async () => {
    const [one, two] = [await start(), await start()];
    const first = await rig.claim(one, 0);
    await rig.store.takeActLock(first, 'c3');
    await rig.store.acting(first);
    await rig.fire(one, 0);
    const second = await rig.claim(two, 0);
    expect((await rig.store.takeActLock(second, 'c3')).held).toBe(false);
    await rig.store.complete(await rig.claim(one, 0), { state: 'succeeded', acted: true });
    expect((await rig.store.takeActLock(second, 'c3')).held).toBe(true);
    await rig.fire(two, 0);
    expect((await rig.store.takeActLock(await rig.claim(one, 1), 'c3')).held).toBe(true);
  });

  test('parked after the act it is kept, parked before it it is given back', async () => {
    const [one, two] = [await start(), await start()];
    const [first, second] = [await rig.claim(one, 0), await rig.claim(two, 0)];
    const parking = { untilMs: null, waiting: { reason: 'later' } };
    await rig.store.takeActLock(first, 'c4');
    await rig.store.park(first, parking);
    expect((await rig.store.takeActLock(second, 'c4')).held).toBe(true);
    await rig.store.acting(second);
    await rig.store.acted(second);
    await rig.store.park(second, parking);
    await rig.store.wake(one, 0);
    expect((await rig.store.takeActLock(await rig.claim(one, 0), 'c4')).held).toBe(false);
  });

  test('holds are renewed while the run lives, and over with it', async () => {
    const steps = [
      { id: 'a' },
      { id: 'b', after: [0] },
      { id: 'r', part: 'finally' as const, kind: 'release' as const, releases: 0 },
    ];
    const run = await start(planOf(steps));
    const grant = await rig.claim(run, 0);
    const hold = { expiresMs: grant.nowMs + 3000, renewMs: grant.nowMs + 1000 };
    await rig.store.recordHold(grant, hold);
    await rig.store.complete(grant, { state: 'succeeded', acted: true });
    expect((await rig.store.snapshot(run)).holds).toEqual([{ step: 0, ...hold }]);
    await server.redis.zadd(`${rig.prefix}:timers`, 'XX', 0, `${run}|0|h`);
    const ticked = await rig.store.tick({ epoch: 9e9, isQueued: async () => false });
    expect(ticked.renewals).toEqual([{ run, step: 0, delivery: 1, renew: true }]);
    expect(await rig.store.holdRenewed({ run, step: 0 }, { ...hold, renewMs: hold.renewMs + 1 })).toBe(true);
    await rig.pass(run, 1);
    await rig.pass(run, 2);
    expect((await rig.store.snapshot(run)).holds).toEqual([]);
    expect(await rig.store.holdRenewed({ run, step: 0 }, hold)).toBe(false);
    expect(await server.redis.zrange(`${rig.prefix}:timers`, 0, -1)).not.toContain(`${run}|0|h`);
  });
});
