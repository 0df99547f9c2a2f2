import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { isEndedRun, stepStates } from '../../src/run/states.ts';
import { planOf } from '../engine/plans.ts';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { openRig, type Rig } from '../engine/store-rig.ts';
import { anyWish, Player } from './player.ts';

let server: PrivateRedis;
let rig: Rig;

beforeAll(async () => {
  server = await startRedis(['--appendfsync', 'no']);
  rig = await openRig(server);
});
afterAll(async () => {
  await rig?.store.close();
  await server?.stop();
});

const steps = { minLength: 1, maxLength: 7 };

/** Random graphs: edges backwards, some steps in finally, some in a group with few places. */
const anyPlan = fc
  .array(
    fc.record({
      before: fc.array(fc.nat(6), { maxLength: 3 }),
      isFinally: fc.nat(4).map((n) => n === 0),
      member: fc.option(fc.nat(2), { nil: undefined }),
      inner: fc.nat(3).map((n) => n === 0),
    }),
    steps,
  )
  .map((sketches) => {
    const outer = [0, 1, 2].map((m) => sketches.filter(({ member }) => member === m).length);
    const inner = [0, 1, 2].map((m) => sketches.filter((s) => s.member === m && s.inner).length);
    const groups = [
      { id: 'outer', maxParallel: 2, memberSizes: outer },
      { id: 'inner', maxParallel: 1, memberSizes: inner },
    ];
    const sketched = sketches.map(({ before, isFinally, member, inner: isInner }, index) => ({
      id: `s${index}`,
      after: [...new Set(before.filter((at) => at < index && (isFinally || !sketches[at]?.isFinally)))],
      part: isFinally ? ('finally' as const) : ('main' as const),
      places: member === undefined ? [] : [{ group: 0, member }, ...(isInner ? [{ group: 1, member }] : [])],
    }));
    return planOf(sketched, { groups });
  });

test('the store does what the model says, whatever happens in whatever order', {
  timeout: 120_000,
}, async () => {
  const ended = { runs: 0, whole: 0 };
  const wishes = fc.array(anyWish, { minLength: 10, maxLength: 60, size: 'max' });
  const property = fc.asyncProperty(anyPlan, wishes, async (plan, list) => {
    const player = new Player(rig, await rig.store.createRun(plan, { by: 'test' }), plan);
    await player.compare();
    for (const wish of list) await player.play(wish);
    await rig.redis.del(`${rig.prefix}:frozen`);
    ended.runs += 1;
    if (isEndedRun(player.model.state)) ended.whole += 1;
  });
  await fc.assert(property, { numRuns: 200 });
  expect(ended.whole).toBeGreaterThan(ended.runs / 20);
});

/** Members of up to 45 steps that all wait for one or two places, some of them in finally. */
const anyWideRun = fc.record({
  main: fc.array(fc.integer({ min: 1, max: 45 }), { minLength: 1, maxLength: 3 }),
  last: fc.array(fc.integer({ min: 1, max: 45 }), { maxLength: 2 }),
  maxParallel: fc.integer({ min: 1, max: 2 }),
  /** Whether the steps of the members stand among each other. */
  isMixed: fc.boolean(),
  abortsAfter: fc.option(fc.integer({ min: 0, max: 80 }), { nil: undefined }),
  failsAt: fc.option(fc.nat(80), { nil: undefined }),
});
type WideRun = typeof anyWideRun extends fc.Arbitrary<infer W> ? W : never;

function widePlan({ main, last, maxParallel, isMixed }: WideRun): Plan {
  const memberSizes = [...main, ...last];
  const all = memberSizes.flatMap((size, member) =>
    Array.from({ length: size }, (_, at) => ({ member, at })),
  );
  if (isMixed) all.sort((a, b) => a.at - b.at);
  const sketched = all.map(({ member }, index) => ({
    id: `s${index}`,
    part: member < main.length ? ('main' as const) : ('finally' as const),
    places: [{ group: 0, member }],
  }));
  return planOf(sketched, { groups: [{ id: 'wide', maxParallel, memberSizes }] });
}

/** Claim whatever is ready, then complete whatever is claimed. */
async function playRound(player: Player, { abortsAfter, failsAt }: WideRun): Promise<void> {
  const usual = { fresh: 1, mayHaveActed: false, rare: 0 };
  const inState = (wanted: string) =>
    [...player.plan.steps.keys()].filter((step) => player.model.steps[step]?.state === wanted);
  for (const step of inState('ready'))
    await player.act({ ...usual, op: 'claim', step, outcome: 'succeeded' });
  for (const step of inState('running')) {
    if (step === abortsAfter) await player.act({ ...usual, op: 'abort', step, outcome: 'succeeded' });
    const outcome = step === failsAt ? 'failed' : 'succeeded';
    await player.act({ ...usual, op: 'complete', step, outcome });
  }
  // a failed run goes on when a person says so
  if (player.model.state === 'failed' && inState('ready').length === 0) {
    for (const step of inState('failed'))
      await player.act({ ...usual, op: 'skip', step, outcome: 'skipped' });
  }
  await player.compare();
}

test('members of any width get their places, and their run comes to an end', {
  timeout: 120_000,
}, async () => {
  const property = fc.asyncProperty(anyWideRun, async (wide) => {
    const plan = widePlan(wide);
    const player = new Player(rig, await rig.store.createRun(plan, { by: 'test' }), plan);
    // each round ends a member at least, or claims the next
    const most = 3 * (wide.main.length + wide.last.length) + 3;
    for (let left = most; left > 0 && !isEndedRun(player.model.state); left -= 1)
      await playRound(player, wide);
    expect(isEndedRun(player.model.state)).toBe(true);
  });
  await fc.assert(property, { numRuns: 15 });
});

test('every state has its own byte', () => {
  expect(new Set(Object.values(stepStates)).size).toBe(Object.keys(stepStates).length);
});
