import fc from 'fast-check';
import { expect } from 'vitest';
import type { Held } from '../../src/engine/leases.ts';
import type { Store } from '../../src/engine/store.ts';
import type { Plan } from '../../src/plan/plan.ts';
import {
  applyToModel,
  beginModel,
  type ModelClaim,
  type ModelOp,
  type ModelWrite,
} from '../../src/run/model.ts';
import type { Model } from '../../src/run/model-state.ts';
import { isEndedRun, isEndedStep } from '../../src/run/states.ts';
import type { Rig } from '../engine/store-rig.ts';

const error = { code: 'COMMAND_FAILED', message: 'broke' } as const;

/** A wish; which token and delivery it uses is decided when it is played: mostly the right ones, at times old ones. */
export const anyWish = fc.record({
  op: fc.constantFrom(
    ...(['claim', 'claim', 'claim', 'complete', 'complete', 'acting', 'acted', 'verified', 'park'] as const),
    ...(['retryLater', 'expire', 'expire', 'take', 'wake', 'retry', 'retryAll', 'skip', 'abort'] as const),
    ...([
      'pause',
      'resume',
      'resume',
      'kill',
      'markDone',
      'markFailed',
      'redo',
      'freeze',
      'unfreeze',
    ] as const),
    ...(['claim', 'claim', 'complete', 'complete'] as const),
  ),
  step: fc.nat(6),
  /** 0: a stale token or delivery. */
  fresh: fc.nat(9),
  outcome: fc.constantFrom('succeeded', 'succeeded', 'succeeded', 'failed', 'skipped'),
  mayHaveActed: fc.boolean(),
  /** 0: aborts are rare, so that runs live long enough. */
  rare: fc.nat(7),
});
export type Wish = typeof anyWish extends fc.Arbitrary<infer W> ? W : never;

/** Plays wishes on the store and on the model, and compares. */
export class Player {
  readonly rig: Rig;
  readonly run: string;
  readonly plan: Plan;
  readonly model: Model;
  /** Tokens each step was ever given: the last is the present one. */
  readonly tokens = new Map<number, string[]>();
  isKilled = false;
  constructor(rig: Rig, run: string, plan: Plan) {
    this.rig = rig;
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
    if (op.op === 'kill' && answer.answer === 'ok') this.isKilled = true;
    await letWaitersIn(this);
    if (op.op === 'claim' && answer.answer === 'granted') this.checkStarted(op.step);
  }

  opOf({ op, step: wished, fresh, rare, outcome, mayHaveActed }: Wish): ModelOp {
    const step = wished % this.plan.steps.length;
    const given = this.tokens.get(step) ?? ['none'];
    const token = (fresh === 0 ? given.at(-2) : given.at(-1)) ?? 'none';
    const delivery = (this.model.steps[step]?.delivery ?? 0) - (fresh === 0 ? 1 : 0);
    switch (op) {
      case 'claim':
        return { op, step, delivery, token: '' };
      case 'abort':
      case 'kill':
        return rare === 0 ? { op } : { op: 'take' };
      case 'freeze':
        return { op: rare > 3 ? 'unfreeze' : op };
      case 'complete':
        return { op, step, token, outcome, mayHaveActed };
      case 'retryLater':
        return { op, step, token, mayHaveActed };
      case 'take':
      case 'retryAll':
      case 'pause':
      case 'resume':
      case 'unfreeze':
        return { op };
      case 'acting':
      case 'acted':
      case 'verified':
      case 'park':
        return { op, step, token };
      default:
        return { op, step };
    }
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
    const snapshot = await this.rig.store.snapshot(this.run);
    expect(snapshot.states).toEqual(this.model.steps.map(({ state }) => state));
    expect(snapshot.state).toBe(this.model.state);
    for (const { step, attempt, isActing } of snapshot.views) {
      expect({ attempt, isActing: isActing ?? false }).toEqual({
        attempt: this.model.steps[step]?.attempt,
        isActing: this.model.steps[step]?.isActing,
      });
    }
    for (const step of this.plan.steps.keys()) {
      expect(await this.rig.delivery(this.run, step)).toBe(this.model.steps[step]?.delivery);
    }
    await checkCounters(this);
  }
}

/** The counters say what the states say: the same rule as `doctor` would check. */
async function checkCounters({ rig, run, plan, model, isKilled }: Player): Promise<void> {
  // what is over by force is not counted to its end
  if (isKilled) return;
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
async function letWaitersIn({ rig, run, plan }: Player): Promise<void> {
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
  const { rig, run } = player;
  const { store } = rig;
  const me = { by: 'test' };
  switch (op.op) {
    case 'take':
      return { answer: (await rig.steps(run)).join(',') };
    case 'abort':
      return refusable(store.abort(run, me));
    case 'pause':
    case 'resume':
    case 'kill':
      return refusable(store[op.op](run, me));
    case 'freeze':
      await rig.redis.hset(`${rig.prefix}:frozen`, '*', '{}');
      return { answer: 'ok' };
    case 'unfreeze':
      await rig.redis.del(`${rig.prefix}:frozen`);
      return { answer: 'ok' };
    case 'redo':
      return refusable(store.redo(run, op.step, me));
    case 'markDone':
      return refusable(store.mark(run, op.step, 'done', me));
    case 'markFailed':
      return refusable(store.mark(run, op.step, 'failed', me));
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
  const { rig, run } = player;
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

async function expireOnStore({ rig, run }: Player, step: number): Promise<Played> {
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
