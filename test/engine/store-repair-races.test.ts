import fc from 'fast-check';
import { expect, test } from 'vitest';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { isEndedRun } from '../../src/run/states.ts';
import { planOf } from './plans.ts';
import { drive } from './store-driver.ts';
import { anyPlan, anyWish, StorePlayer } from './store-player.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest(['--appendfsync', 'no']);
const me = { by: 'anna', reason: 'doctor' };

const key = (run: string, name: string) => `${rig.prefix}:{${run}}:${name}`;

/** Keys that may fall back to what they were, while the states go on: all that follows from them. */
const derived = ['dep', 'rdy', 'rdyx', 'sent', 'places', 'waiters', 'part', 'stopped'] as const;
const shared = ['timers', 'outbox', 'unfinished', 'queued', 'ended', 'runs', 'lock:osd-1'] as const;
const counters = ['mainLeft', 'finallyLeft', 'failed', 'steps'] as const;

async function remember(run: string): Promise<(names: ReadonlySet<string>) => Promise<void>> {
  const { redis, prefix } = rig;
  const all = new Map<string, string>([
    ...derived.map((name) => [name, key(run, name)] as const),
    ...shared.map((name) => [name, `${prefix}:${name}`] as const),
  ]);
  const dumps = new Map<string, Buffer | null>();
  for (const [name, at] of all) dumps.set(name, await redis.dumpBuffer(at));
  const counted = await redis.hmget(key(run, 'meta'), ...counters);
  return async (names) => {
    for (const name of names) {
      const [at, dump] = [all.get(name) ?? '', dumps.get(name)];
      if (dump) await redis.restore(at, 0, dump, 'REPLACE');
      else if (at !== '') await redis.del(at);
    }
    for (const [index, name] of counters.entries()) {
      if (names.has(name)) await redis.hset(key(run, 'meta'), name, counted[index] ?? '0');
    }
  };
}

/** Members that need nothing of one another: else a place may be kept for a step that waits for who waits for the place. */
function calm({ steps, groups, ...rest }: Plan): Plan {
  const calmed = steps.map((step) => ({ ...step, places: step.part === 'main' ? step.places : [] }));
  const memberOf = (index: number) => calmed[index]?.places[0]?.member;
  const count = (group: number, member: number) =>
    calmed.filter(({ places }) => places.some((one) => one.group === group && one.member === member)).length;
  return {
    ...rest,
    locks: [],
    steps: calmed.map((step, index) => ({
      ...step,
      after: step.after.filter((before) => step.places.length === 0 || memberOf(before) === memberOf(index)),
    })),
    groups: groups.map((group, at) => ({
      ...group,
      memberSizes: [0, 1, 2].map((member) => count(at, member)),
    })),
  };
}

test('whatever falls back to what it was is mended, and the run comes to its end', {
  timeout: 240_000,
}, async () => {
  const names = fc.subarray([...derived, ...shared, ...counters], { minLength: 1 });
  // what a step waits for is the worker's to say: one that waits for nothing is no damage of the store
  const wishes = fc.array(
    anyWish.filter(({ op }) => !['grow', 'undo', 'kill', 'unlock', 'lock', 'actlock'].includes(op)),
    { minLength: 2, maxLength: 30, size: 'max' },
  );
  const seen = { damaged: 0, ended: 0 };
  const property = fc.asyncProperty(anyPlan, wishes, wishes, names, async (plan, before, after, lost) => {
    const run = await rig.store.createRun(calm(plan), me);
    const player = new StorePlayer(rig, run, plan.steps.length);
    for (const wish of before) await player.play(wish);
    const fallBack = await remember(run);
    for (const wish of after) await player.play(wish);
    await fallBack(new Set(lost));
    const found = await rig.store.examine(run);
    if (found.some(({ canRepair }) => canRepair)) seen.damaged += 1;
    await rig.store.repair(run, me);
    const rest = await rig.store.examine(run);
    expect(rest.filter(({ kind, canRepair }) => canRepair || (kind !== 'early' && kind !== 'hold'))).toEqual(
      [],
    );
    expect(await drive(rig, run)).toMatch(/^(succeeded|aborted|left-over)$/);
    seen.ended += 1;
  });
  await fc.assert(property, { numRuns: 100 });
  expect(seen.damaged).toBeGreaterThan(seen.ended / 10);
});

test('two repairs at once do the work of one', async () => {
  const run = await rig.store.createRun(planOf([{ id: 'a' }, { id: 'b', after: [0] }]), me);
  await rig.redis.hincrby(key(run, 'meta'), 'mainLeft', 3);
  await rig.redis.setrange(key(run, 'dep'), 7, 'x');
  await rig.redis.setbit(key(run, 'rdy'), 0, 0);
  const delivery = await rig.delivery(run, 0);
  const other = await anotherStore();
  await Promise.all([rig.store.repair(run, me), other.repair(run, me)]);
  await other.close();
  expect(await rig.store.examine(run)).toEqual([]);
  expect(await rig.delivery(run, 0)).toBe(delivery + 1);
  expect(await drive(rig, run)).toBe('succeeded');
});

const anotherStore = async () =>
  openStore(await connectRedis(rig.server.socket, 'worker'), { prefix: rig.prefix, dispatchWindow: 10 });

/** Carry steps out as they come, for as long as the run lives. */
async function work(store: Store, run: string, done: (step: number) => void): Promise<void> {
  while (!isEndedRun((await store.brief(run)).state)) {
    for (const { step, delivery } of await store.takeReady(run)) {
      const answer = await store.claim({ run, step, delivery, worker: 'w', leaseMs: 60_000 });
      let grant = answer.kind === 'granted' ? answer.grant : undefined;
      while (grant) {
        const next = { worker: 'w', leaseMs: 60_000, count: 1, isPatient: true };
        const ended = await store.complete(grant, { state: 'succeeded', acted: true, next });
        if (ended.kind === 'accepted') done(grant.step);
        grant = ended.next[0];
      }
    }
    await new Promise(setImmediate);
  }
}

test('repairs harm nothing while workers end steps, and mend what others go on damaging', {
  timeout: 120_000,
}, async () => {
  const width = 12;
  const layers = 25;
  const steps = Array.from({ length: width * layers }, (_, index) => ({
    id: `s${index}`,
    after: index < width ? [] : [index - width, index - (index % width) - width],
    places: [{ group: 0, member: index % width }],
  }));
  const groups = [{ id: 'g', maxParallel: width, memberSizes: Array(width).fill(layers) as number[] }];
  const run = await rig.store.createRun(planOf([...steps, { id: 'end', part: 'finally' }], { groups }), me);
  const counts = new Map<number, number>();
  const stores = await Promise.all([anotherStore(), anotherStore(), anotherStore()]);
  const working = Promise.all(
    stores.map((store) =>
      work(store, run, (step) => {
        counts.set(step, (counts.get(step) ?? 0) + 1);
      }),
    ),
  );
  const seen = { repaired: 0, refused: 0 };
  for (let round = 0; !isEndedRun((await rig.store.brief(run)).state); round += 1) {
    if (round % 5 === 0) await rig.redis.hincrby(key(run, 'meta'), 'mainLeft', 1);
    if (round % 7 === 0) await rig.redis.srem(`${rig.prefix}:outbox`, run);
    await rig.store.repair(run, me).then(
      (count) => (seen.repaired += count),
      () => (seen.refused += 1),
    );
  }
  await working;
  for (const store of stores) await store.close();
  expect(seen.repaired).toBeGreaterThan(0);
  expect(await rig.runState(run)).toBe('succeeded');
  expect([...counts.values()].every((count) => count === 1)).toBe(true);
  expect(counts.size).toBe(steps.length + 1);
  // no step began before all that it waits for had ended
  const events = await rig.store.events(run, '0', { limit: 10_000 });
  const placeOf = (step: number, state: string) =>
    events.findIndex((event) => event.step === step && event.state === state);
  for (const [step, { after }] of steps.entries()) {
    for (const before of after) expect(placeOf(before, 'succeeded')).toBeLessThan(placeOf(step, 'running'));
  }
});
