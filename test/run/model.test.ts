import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Held } from '../../src/engine/leases.ts';
import type { Store } from '../../src/engine/store.ts';
import type { Plan } from '../../src/plan/plan.ts';
import {
  applyToModel,
  beginModel,
  type Model,
  type ModelClaim,
  type ModelOp,
  type ModelWrite,
} from '../../src/run/model.ts';
import { isEndedRun, isEndedStep, stepStates } from '../../src/run/states.ts';
import { planOf } from '../engine/plans.ts';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { openRig, type Rig } from '../engine/store-rig.ts';

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

const error = { code: 'COMMAND_FAILED', message: 'broke' } as const;
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

/** A wish; which token and delivery it uses is decided when it is played: mostly the right ones, at times old ones. */
const anyWish = fc.record({
  op: fc.constantFrom(
    ...(['claim', 'claim', 'claim', 'complete', 'complete', 'acting', 'acted', 'verified', 'park'] as const),
    ...(['retryLater', 'expire', 'expire', 'take', 'wake', 'retry', 'retryAll', 'skip', 'abort'] as const),
  ),
  step: fc.nat(6),
  /** 0: a stale token or delivery. */
  fresh: fc.nat(9),
  outcome: fc.constantFrom('succeeded', 'succeeded', 'succeeded', 'failed', 'skipped'),
  mayHaveActed: fc.boolean(),
  /** 0: aborts are rare, so that runs live long enough. */
  rare: fc.nat(7),
});
type Wish = typeof anyWish extends fc.Arbitrary<infer W> ? W : never;

/** Plays wishes on the store and on the model, and compares. */
class Player {
  readonly run: string;
  readonly plan: Plan;
  readonly model: Model;
  /** Tokens each step was ever given: the last is the present one. */
  readonly tokens = new Map<number, string[]>();
  readonly begunWith: string[] = [];
  constructor(run: string, plan: Plan) {
    this.run = run;
    this.plan = plan;
    this.model = beginModel(plan);
  }

  async play(wish: Wish): Promise<void> {
    await this.act(wish);
    await this.compare();
  }

  /** Play without comparing everything. */
  async act(wish: Wish): Promise<void> {
    const op = this.opOf(wish);
    const answer = await playOnStore(this, op);
    const expected = applyToModel(this.model, answer.op ?? op);
    expect(answer.answer, JSON.stringify(op)).toBe(expected);
    await letWaitersIn(this);
    if (op.op === 'claim' && answer.answer === 'granted') this.checkStarted(op.step);
  }

  opOf(wish: Wish): ModelOp {
    const step = wish.step % this.plan.steps.length;
    const given = this.tokens.get(step) ?? ['none'];
    const token = (wish.fresh === 0 ? given.at(-2) : given.at(-1)) ?? 'none';
    const { op, outcome, mayHaveActed } = wish;
    const delivery = (this.model.steps[step]?.delivery ?? 0) - (wish.fresh === 0 ? 1 : 0);
    if (op === 'claim') return { op, step, delivery, token: '' };
    if (op === 'abort') return wish.rare === 0 ? { op } : { op: 'take' };
    if (op === 'take' || op === 'retryAll') return { op };
    if (op === 'complete') return { op, step, token, outcome, mayHaveActed };
    if (op === 'retryLater') return { op, step, token, mayHaveActed };
    if (op === 'expire' || op === 'wake' || op === 'retry' || op === 'skip') return { op, step };
    return { op, step, token };
  }

  /** No step starts before all it depends on were done; finally steps only want them over. */
  checkStarted(step: number): void {
    const planned = this.plan.steps[step];
    for (const other of planned?.after ?? []) {
      const state = this.model.steps[other]?.state ?? 'pending';
      const isDone = state === 'succeeded' || state === 'skipped';
      const isOver = isEndedStep(state) || state === 'failed';
      expect(planned?.part === 'finally' ? isOver : isDone).toBe(true);
    }
  }

  async compare(): Promise<void> {
    const snapshot = await rig.store.snapshot(this.run);
    expect(snapshot.states).toEqual(this.model.steps.map(({ state }) => state));
    expect(snapshot.state).toBe(this.model.state);
    for (const { step, attempt, isActing } of snapshot.views) {
      expect({ attempt, isActing: isActing ?? false }).toEqual({
        attempt: this.model.steps[step]?.attempt,
        isActing: this.model.steps[step]?.isActing,
      });
    }
    for (const step of this.plan.steps.keys()) {
      expect(await rig.delivery(this.run, step)).toBe(this.model.steps[step]?.delivery);
    }
    await checkCounters(this);
  }
}

/** The counters say what the states say: the same rule as `doctor` would check. */
async function checkCounters({ run, plan, model }: Player): Promise<void> {
  const meta = await rig.redis.hgetall(`${rig.prefix}:{${run}}:meta`);
  const count = (part: string, isOpen: (state: string) => boolean) =>
    plan.steps.filter((step, at) => step.part === part && isOpen(model.steps[at]?.state ?? '')).length;
  const isAborted = model.state === 'aborting' || isEndedRun(model.state);
  const isOpen = (state: string) => !['succeeded', 'skipped', 'cancelled'].includes(state);
  expect(Number(meta['mainLeft'])).toBe(count('main', (s) => isOpen(s) && !(isAborted && s === 'failed')));
  expect(Number(meta['finallyLeft'])).toBe(count('finally', (s) => isOpen(s) && s !== 'failed'));
  for (const [group, { maxParallel }] of plan.groups.entries()) {
    const begun = Number((await rig.redis.hget(`${rig.prefix}:{${run}}:places`, `c:${group}`)) ?? 0);
    expect(begun).toBeLessThanOrEqual(maxParallel);
    expect(begun).toBe([...model.begun].filter((one) => one.startsWith(`${group}:`)).length);
  }
}

/** Be the leader, who lets the rest of a long row of waiters in. */
async function letWaitersIn({ run, plan }: Player): Promise<void> {
  for (let left = plan.steps.length; left > 0; left -= 1) {
    const waiters = await rig.redis.zrange(`${rig.prefix}:{${run}}:waiters`, 0, -1);
    const members = waiters.map((step) => `${run}|${step}`);
    const timers = members.length === 0 ? [] : await rig.redis.zmscore(`${rig.prefix}:timers`, ...members);
    if (timers.every((due) => due === null)) return;
    await rig.store.tick({ epoch: 1_000_000, isQueued: async () => false });
  }
  throw new Error('the waiters never come to an end');
}

interface Played {
  readonly answer: string;
  /** The op with what only the store knows: the new token. */
  readonly op?: ModelOp;
}

async function playOnStore(player: Player, op: ModelOp): Promise<Played> {
  const { run } = player;
  const { store } = rig;
  const me = { by: 'test' };
  switch (op.op) {
    case 'take':
      return { answer: (await rig.steps(run)).join(',') };
    case 'abort':
      return refusable(store.abort(run, me));
    case 'retryAll':
      return refusable(store.retry(run, undefined, me));
    case 'retry':
      return refusable(store.retry(run, op.step, me));
    case 'skip':
      return refusable(store.skip(run, op.step, me));
    case 'wake':
      return { answer: String(await store.wake(run, op.step)) };
    case 'expire':
      return expireOnStore(player, op.step);
    case 'claim':
      return claimOnStore(player, op);
    default:
      return { answer: await writeOnStore(store, { run, step: op.step, token: op.token }, op) };
  }
}

async function claimOnStore(player: Player, op: ModelClaim): Promise<Played> {
  const { run } = player;
  const answer = await rig.store.claim({
    run,
    step: op.step,
    delivery: op.delivery,
    worker: 'w',
    leaseMs: 1e6,
  });
  if (answer.kind !== 'granted') return { answer: answer.kind };
  const { token, mode } = answer.grant;
  const before = player.model.steps[op.step];
  const readBack = before?.hasActed ? 'read-back' : 'act';
  expect(mode).toBe(before?.isActing ? 'verify' : readBack);
  expect(answer.grant.retries).toBe(before?.retries);
  player.tokens.set(op.step, [...(player.tokens.get(op.step) ?? []), token]);
  return { answer: 'granted', op: { ...op, token } };
}

async function expireOnStore({ run }: Player, step: number): Promise<Played> {
  const had = await rig.redis.zscore(`${rig.prefix}:timers`, `${run}|${step}`);
  await rig.fire(run, step);
  return { answer: had === null ? 'nothing' : 'done' };
}

async function writeOnStore(store: Store, held: Held, op: ModelWrite): Promise<string> {
  switch (op.op) {
    case 'acting':
      return store.acting(held);
    case 'acted':
      return store.acted(held);
    case 'verified':
      return store.verified(held);
    case 'park':
      return store.park(held, { untilMs: null, waiting: { reason: 'x' } });
    case 'retryLater':
      return store.retryLater(held, { delayMs: 1e6, error, mayHaveActed: op.mayHaveActed });
    case 'complete':
      return (await store.complete(held, { state: op.outcome, acted: true, mayHaveActed: op.mayHaveActed }))
        .kind;
  }
}

const refusable = async (asked: Promise<unknown>): Promise<Played> => ({
  answer: await asked.then(
    () => 'ok',
    () => 'refused',
  ),
});

test('the store does what the model says, whatever happens in whatever order', {
  timeout: 120_000,
}, async () => {
  const ended = { runs: 0, whole: 0 };
  const wishes = fc.array(anyWish, { minLength: 10, maxLength: 60, size: 'max' });
  const property = fc.asyncProperty(anyPlan, wishes, async (plan, list) => {
    const player = new Player(await rig.store.createRun(plan, { by: 'test' }), plan);
    await player.compare();
    for (const wish of list) await player.play(wish);
    ended.runs += 1;
    if (isEndedRun(player.model.state)) ended.whole += 1;
  });
  await fc.assert(property, { numRuns: 150 });
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
    const player = new Player(await rig.store.createRun(plan, { by: 'test' }), plan);
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
