import { describe, expect, test } from 'vitest';
import type { StoreFinding } from '../../src/engine/store.ts';
import { chainOf, planOf } from './plans.ts';
import { drive } from './store-driver.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest(['--appendfsync', 'no']);
const me = { by: 'anna', reason: 'doctor' };

const [a, b, c, d, e, x] = [0, 1, 2, 3, 4, 5] as const;
const plan = () =>
  planOf(
    [
      { id: 'a' },
      { id: 'b', after: [a] },
      { id: 'c', after: [a] },
      { id: 'd', after: [b, c], places: [{ group: 0, member: 0 }] },
      { id: 'e', after: [a], places: [{ group: 0, member: 1 }] },
      { id: 'x', part: 'finally' },
      { id: 'y', part: 'finally', after: [x] },
    ],
    {
      groups: [{ id: 'g', maxParallel: 1, memberSizes: [1, 1] }],
      locks: [{ name: 'osd-1', capacity: 1 }],
      deadline: { afterMs: 1e9, outcome: 'abort' },
    },
  );

/** a is done, b and c are sent, e is held and holds something, d and the end wait. */
async function begun(): Promise<string> {
  const run = await rig.store.createRun(plan(), me);
  await rig.pass(run, a);
  await rig.steps(run);
  const held = await rig.claim(run, e);
  await rig.store.recordHold(held, { expiresMs: Date.now() + 1e9, renewMs: Date.now() + 1e9 });
  expect(await rig.states(run)).toBe('srrpRpp');
  expect(await rig.store.examine(run)).toEqual([]);
  return run;
}

const key = (run: string, name: string) => `${rig.prefix}:{${run}}:${name}`;
const shared = (name: string) => `${rig.prefix}:${name}`;
const texts = (found: readonly StoreFinding[]) => found.map(({ text }) => text);
const setDep = (run: string, step: number, value: number) =>
  rig.redis.call('BITFIELD', key(run, 'dep'), 'SET', 'u32', `#${step}`, value);
const dropTimer = (run: string, name: number | string) => rig.redis.zrem(shared('timers'), `${run}|${name}`);
/** Sent anew: it stands in the outbox again. */
const backInOutbox = (run: string, step: number) => rig.fire(run, step);

/** Each does one damage, and says what the doctor must say. */
const damages: Readonly<Record<string, (run: string) => Promise<string>>> = {
  'a step that counts one too many': async (run) => {
    await setDep(run, d, 3);
    return 'd counts 3 things to wait for, but 2 are left';
  },
  'a step that counts one too few': async (run) => {
    await setDep(run, d, 1);
    return 'd counts 1 things to wait for, but 2 are left';
  },
  'all counters gone': async (run) => {
    await rig.redis.del(key(run, 'dep'));
    return 'd counts 0 things to wait for, but 2 are left';
  },
  'one step too many left': async (run) => {
    await rig.redis.hincrby(key(run, 'meta'), 'mainLeft', 1);
    return 'steps that have not ended: the run counts 5, its steps say 4';
  },
  'one step too few left': async (run) => {
    await rig.redis.hincrby(key(run, 'meta'), 'mainLeft', -1);
    return 'steps that have not ended: the run counts 3, its steps say 4';
  },
  'one step of the end too few left': async (run) => {
    await rig.redis.hincrby(key(run, 'meta'), 'finallyLeft', -1);
    return 'steps at the end that have not ended: the run counts 1, its steps say 2';
  },
  'a failed step too many': async (run) => {
    await rig.redis.hincrby(key(run, 'meta'), 'failed', 1);
    return 'failed steps: the run counts 1, its steps say 0';
  },
  'a run that is said to have failed': async (run) => {
    await rig.redis.hset(key(run, 'meta'), 'state', 'failed');
    return 'the run is failed, but by its steps it is running';
  },
  'a ready step that is lost': async (run) => {
    await backInOutbox(run, b);
    await rig.redis.setbit(key(run, 'rdy'), b, 0);
    return 'b is ready, but neither in the outbox nor sent';
  },
  'a sent step that is lost with its timer': async (run) => {
    await rig.redis.srem(key(run, 'sent'), b);
    await dropTimer(run, b);
    return 'b is ready, but neither in the outbox nor sent';
  },
  'a step that is sent and to be sent': async (run) => {
    await rig.redis.setbit(key(run, 'rdy'), b, 1);
    return 'b is ready, but in the outbox twice, or in the wrong one';
  },
  'an ended step that is to be begun': async (run) => {
    await rig.redis.setbit(key(run, 'rdy'), a, 1);
    return 'a is succeeded, and stands among what is to be begun';
  },
  'a pending step that nothing keeps back': async (run) => {
    await rig.redis.setrange(key(run, 'st'), b, 'p');
    await rig.redis.srem(key(run, 'sent'), b);
    return 'b has nothing left to wait for, and yet it is pending';
  },
  'a step that is ready too early': async (run) => {
    await rig.redis.setrange(key(run, 'st'), d, 'r');
    await rig.redis.setbit(key(run, 'rdy'), d, 1);
    await rig.redis.sadd(shared('outbox'), run);
    return 'd is ready too early: 2 things that it waits for have not ended';
  },
  'the timer of a delivery': async (run) => {
    await dropTimer(run, c);
    return 'c was sent, and nothing sends it anew if its delivery is lost';
  },
  'the timer of a lease': async (run) => {
    await dropTimer(run, e);
    return 'e is running, and nothing ends its lease when its worker dies';
  },
  'the timer of a step that polls': async (run) => {
    const held = await rig.claim(run, b);
    await rig.store.park(held, { untilMs: Date.now() + 1e9, waiting: { reason: 'x' } });
    await dropTimer(run, b);
    return 'b waits to be asked again, and nothing asks it';
  },
  'a waiting step that nothing wakes': async (run) => {
    const held = await rig.claim(run, b);
    await rig.store.park(held, { untilMs: null, waiting: { reason: 'x' } });
    return 'b waits, and nothing wakes it';
  },
  'the timer of a hold': async (run) => {
    await dropTimer(run, `${e}|h`);
    return 'what e holds is not renewed';
  },
  'the timer of a deadline': async (run) => {
    await dropTimer(run, 'd');
    return 'nobody is told when its deadline passes';
  },
  'the entry of a run in the outbox': async (run) => {
    await backInOutbox(run, b);
    await rig.redis.srem(shared('outbox'), run);
    return 'the run is running, and is missing among those that are to be dispatched';
  },
  'the entry among the unfinished': async (run) => {
    await rig.redis.srem(shared('unfinished'), run);
    return 'the run is running, and is missing among those that are unfinished';
  },
  'an entry among the ended': async (run) => {
    await rig.redis.zadd(shared('ended'), 1, run);
    return 'the run is running, and stands among those that are ended';
  },
  'a place that is counted and taken by nobody': async (run) => {
    await rig.redis.hincrby(key(run, 'places'), 'c:0', 1);
    return '2 places of group 0 are counted as taken, but 1 are';
  },
  'a place that a member keeps': async (run) => {
    await rig.redis.hset(key(run, 'places'), 'b:0:0', '1', 'c:0', '2');
    return 'member 0 of group 0 keeps a place that it does not need';
  },
  'a member that works without a place': async (run) => {
    await rig.redis.del(key(run, 'places'));
    return 'member 1 of group 0 is at work without a place';
  },
  'steps of a member that are counted as ended': async (run) => {
    await rig.redis.hset(key(run, 'places'), 'e:0:0', '1');
    return '1 steps of member 0 of group 0 are counted as ended, but 0 are';
  },
  'a step that waits for a free place': async (run) => {
    const held = await rig.claim(run, b);
    await rig.store.complete(held, { state: 'succeeded', acted: true });
    await rig.pass(run, c);
    const turn = { run, step: d, delivery: await rig.delivery(run, d), worker: 'w', leaseMs: 1e9 };
    expect((await rig.store.claim(turn)).kind).toBe('no-place');
    const waiters = await rig.redis.dumpBuffer(key(run, 'waiters'));
    const token = (await rig.redis.getrange(key(run, 'tok'), 8 * e, 8 * e + 7)) ?? '';
    await rig.store.complete({ run, step: e, token }, { state: 'succeeded', acted: true });
    // as if nobody had told it
    await rig.redis.restore(key(run, 'waiters'), 0, waiters, 'REPLACE');
    await rig.redis.setrange(key(run, 'st'), d, 'w');
    await rig.redis.setbit(key(run, 'rdy'), d, 0);
    await rig.redis.hset(key(run, 'places'), 'c:0', '0');
    await rig.redis.hdel(key(run, 'places'), 'b:0:0');
    return 'd waits for a place, and there is one';
  },
  'the lock of a run': async () => {
    await rig.redis.del(shared('lock:osd-1'));
    return 'the run counts on the lock osd-1, which it does not hold';
  },
  'a lock of a step that knows nothing of it': async (run) => {
    await rig.redis.hset(shared('lock:pool-1'), `${run}|${a}`, 1);
    await rig.redis.sadd(shared('locks'), 'pool-1');
    return 'a holds the lock pool-1, and does not know of it';
  },
  'the act lock of a step that has ended': async (run) => {
    await rig.redis.set(shared('act:f51d'), `${run}|${a}`);
    return 'a holds the lock for what stops or destroys in f51d, and does not know of it';
  },
  'which steps are the end': async (run) => {
    await rig.redis.del(key(run, 'part'));
    return 'which steps belong to the end of the run is not what the plan says';
  },
  'how many steps there are': async (run) => {
    await rig.redis.hset(key(run, 'meta'), 'steps', '3');
    return 'the run counts 3 steps, and the plan has 7';
  },
  'a plan that will be thrown away': async (run) => {
    await rig.redis.expire((await rig.redis.hget(key(run, 'meta'), 'planKey')) ?? '', 3600);
    return 'the plan will be thrown away';
  },
  'a plan that no run is said to use': async () => {
    await rig.redis.del(shared('plans'));
    return 'the plan is said to be used by no run';
  },
};

describe('the doctor names, mends, and the run comes to its end', () => {
  test.each(Object.entries(damages))('%s', async (_name, damage) => {
    const run = await begun();
    const text = await damage(run);
    expect(texts(await rig.store.examine(run))).toContain(text);
    expect(await rig.store.repair(run, me)).toBeGreaterThan(0);
    expect(await rig.store.examine(run)).toEqual([]);
    const [last] = (await rig.store.audit(run)).slice(-1);
    expect(last).toMatchObject({ act: 'repair', by: 'anna', reason: expect.stringContaining(text) });
    expect(await drive(rig, run)).toBe('succeeded');
  });

  test('a run that has ended and does not know it', async () => {
    const run = await rig.store.createRun(chainOf(1), me);
    const before = await rig.redis.dumpBuffer(key(run, 'meta'));
    await rig.pass(run, 0);
    await rig.redis.restore(key(run, 'meta'), 0, before, 'REPLACE');
    expect(texts(await rig.store.examine(run))).toContain('all its steps have ended, but the run is running');
    await rig.store.repair(run, me);
    expect(await rig.runState(run)).toBe('succeeded');
    expect(await rig.store.examine(run)).toEqual([]);
  });

  test('a run whose slices nobody goes on with', async () => {
    const wide = planOf(Array.from({ length: 450 }, (_, i) => ({ id: `s${i}` })));
    const run = await rig.store.createRun(wide, me);
    await rig.redis.hset(key(run, 'meta'), 'sweep', 0, 'state', 'aborting');
    expect(texts(await rig.store.examine(run))).toEqual(['nothing goes on cancelling its steps']);
    await rig.store.repair(run, me);
    expect(await drive(rig, run)).toBe('aborted');
  });

  test('what runs keep that are over, or unknown', async () => {
    const plan = planOf([{ id: 'a' }], { locks: [{ name: 'osd-1', capacity: 1 }] });
    const over = await rig.store.createRun(plan, me);
    await rig.store.takeActLock(await rig.claim(over, 0), 'f51d');
    await rig.store.acting({ run: over, step: 0, token: (await rig.redis.get(key(over, 'tok'))) ?? '' });
    await rig.store.kill(over, me);
    await rig.redis.hset(shared('lock:osd-1'), 'ghost|', 1);
    await rig.redis.sadd(shared('locks'), 'osd-1');
    await rig.redis.hincrby(shared('plans'), 'nobody', 2);
    expect(texts(await rig.store.examine(''))).toEqual([
      'a holds the lock for what stops or destroys in f51d, and its run is over',
      'the run holds the lock osd-1, and its run is over',
      'the plan nobody is said to be used by 2 runs, and 0 use it',
    ]);
    expect(await rig.store.repair('', me)).toBe(3);
    expect(await rig.store.examine('')).toEqual([]);
    expect(await rig.redis.get(shared('act:f51d'))).toBeNull();
    expect(await rig.store.locks()).toEqual([]);
  });

  test('a plan of which a page is gone is for a person', async () => {
    const run = await begun();
    const planKey = (await rig.redis.hget(key(run, 'meta'), 'planKey')) ?? '';
    await rig.redis.hdel(planKey, 'p0');
    expect(await rig.store.examine(run)).toMatchObject([
      { kind: 'plan', canRepair: false, text: '1 pages of the plan are not in the store' },
    ]);
    expect(await rig.store.repair(run, me)).toBe(0);
  });

  test('a waiting run that nobody starts', async () => {
    const plan = planOf([{ id: 'a' }], { locks: [{ name: 'osd-1', capacity: 1 }] });
    const first = await rig.store.createRun(plan, me);
    const second = await rig.store.createRun(plan, { ...me, waits: true });
    await rig.redis.del(shared('lock:osd-1:waiters'));
    expect(texts(await rig.store.examine(second))).toEqual([
      'the run waits for locks, and nobody knows of it',
    ]);
    await rig.store.repair(second, me);
    expect(await rig.store.examine(second)).toEqual([]);
    await rig.pass(first, 0);
    expect(await drive(rig, second)).toBe('succeeded');
  });
});
