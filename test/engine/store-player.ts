import fc from 'fast-check';
import { CephflowError } from '../../src/base/errors.ts';
import type { Held } from '../../src/engine/leases.ts';
import type { Plan, PlanStep } from '../../src/plan/plan.ts';
import { planOf } from './plans.ts';
import type { Rig } from './store-rig.ts';

/** Random graphs: edges backwards, some steps in finally, some in a group with few places, some in a queue of their own. */
export const anyPlan: fc.Arbitrary<Plan> = fc
  .array(
    fc.record({
      before: fc.array(fc.nat(6), { maxLength: 3 }),
      isFinally: fc.nat(4).map((n) => n === 0),
      member: fc.option(fc.nat(2), { nil: undefined }),
      inner: fc.nat(3).map((n) => n === 0),
      isSpecial: fc.nat(4).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((sketches) => {
    const sizes = (isIn: (sketch: (typeof sketches)[number]) => boolean) =>
      [0, 1, 2].map((m) => sketches.filter((one) => one.member === m && isIn(one)).length);
    const groups = [
      { id: 'outer', maxParallel: 2, memberSizes: sizes(() => true) },
      { id: 'inner', maxParallel: 1, memberSizes: sizes(({ inner }) => inner) },
    ];
    const steps = sketches.map(({ before, isFinally, member, inner, isSpecial }, index) => ({
      id: `s${index}`,
      after: [...new Set(before.filter((at) => at < index && (isFinally || !sketches[at]?.isFinally)))],
      part: isFinally ? ('finally' as const) : ('main' as const),
      places: member === undefined ? [] : [{ group: 0, member }, ...(inner ? [{ group: 1, member }] : [])],
      ...(isSpecial && { priority: 5, queue: 'fast' }),
    }));
    return planOf(steps, { groups, locks: [{ name: 'osd-1', capacity: 1 }] });
  });

const usual = ['claim', 'claim', 'claim', 'complete', 'complete', 'take', 'expire', 'next'] as const;
const notes = ['acting', 'acted', 'verified', 'ask', 'poll', 'retryLater', 'hold', 'release'] as const;
const locking = ['lock', 'actlock', 'unactlock'] as const;
const people = ['wake', 'retry', 'retryAll', 'skip', 'markDone', 'markFailed', 'decide'] as const;
const whole = ['pause', 'resume', 'redo', 'grow'] as const;
const ending = ['abort', 'undo', 'kill', 'unlock'] as const;

/** A wish; which token and delivery it uses is decided when it is played. */
export const anyWish = fc.record({
  op: fc.constantFrom(...usual, ...usual, ...notes, ...locking, ...people, ...whole, ...ending),
  step: fc.nat(9),
  /** 0: a stale token or delivery. */
  fresh: fc.nat(9),
  outcome: fc.constantFrom('succeeded', 'succeeded', 'succeeded', 'failed', 'skipped'),
  flag: fc.boolean(),
  /** 0: what ends a run is rare, so that runs live long enough. */
  rare: fc.nat(5),
});
/** Be a wish. */
export type Wish = typeof anyWish extends fc.Arbitrary<infer W> ? W : never;

const error = { code: 'COMMAND_FAILED', message: 'broke' } as const;
const me = { by: 'test' };
const farMs = 1e9;

/** Plays wishes on one run of a store, whatever the store thinks of them. */
export class StorePlayer {
  readonly rig: Rig;
  readonly run: string;
  size: number;
  isKilled = false;
  readonly tokens = new Map<number, string[]>();
  constructor(rig: Rig, run: string, size: number) {
    this.rig = rig;
    this.run = run;
    this.size = size;
  }

  /** Play; what is refused is nothing to us. */
  async play(wish: Wish): Promise<void> {
    try {
      await this.act(wish);
    } catch (thrown) {
      if (!(thrown instanceof CephflowError && thrown.code === 'CONTROL_REFUSED')) throw thrown;
    }
  }

  private async act(wish: Wish): Promise<void> {
    const { rig, run } = this;
    const step = wish.step % this.size;
    if ((ending as readonly string[]).includes(wish.op)) {
      if (wish.rare === 0) await this.end(wish, step);
      return;
    }
    switch (wish.op) {
      case 'claim':
        return this.claim(wish, step);
      case 'take':
        await rig.store.takeReady(run);
        return;
      case 'expire':
        return rig.fire(run, step, wish.flag);
      case 'complete':
      case 'next':
        return this.complete(wish, step);
      case 'grow':
        return this.grow(step);
      case 'release':
        return rig.store.holdReleased({ run, step });
      default:
        await this.note(wish, step);
        await this.person(wish, step);
    }
  }

  private held(wish: Wish, step: number): Held {
    const given = this.tokens.get(step) ?? ['none'];
    return { run: this.run, step, token: (wish.fresh === 0 ? given.at(-2) : given.at(-1)) ?? 'none' };
  }

  private granted({ step, token }: Held): void {
    this.tokens.set(step, [...(this.tokens.get(step) ?? []), token]);
  }

  private async claim(wish: Wish, step: number): Promise<void> {
    const { rig, run } = this;
    const delivery = (await rig.delivery(run, step)) - (wish.fresh === 0 ? 1 : 0);
    const answer = await rig.store.claim({ run, step, delivery, worker: 'w', leaseMs: farMs });
    if (answer.kind === 'granted') this.granted(answer.grant);
  }

  private async complete(wish: Wish, step: number): Promise<void> {
    const done = await this.rig.store.complete(this.held(wish, step), {
      state: wish.outcome,
      acted: true,
      mayHaveActed: wish.flag,
      ...(step > 0 && wish.rare === 0 && (await this.isUndoing(step)) && { undone: 0 }),
      ...(wish.op === 'next' && {
        next: { worker: 'w', leaseMs: farMs, count: 1 + wish.rare, isPatient: wish.flag },
      }),
    });
    for (const grant of done.next) this.granted(grant);
  }

  private async isUndoing(step: number): Promise<boolean> {
    const undo = await this.rig.redis.hget(`${this.rig.prefix}:{${this.run}}:meta`, 'undo');
    return undo !== null && step > Number(undo);
  }

  private async note(wish: Wish, step: number): Promise<void> {
    const { store } = this.rig;
    const held = this.held(wish, step);
    if (wish.op === 'acting' || wish.op === 'acted' || wish.op === 'verified') await store[wish.op](held);
    else if (wish.op === 'ask')
      await store.park(held, { untilMs: null, waiting: { reason: 'x', question: `go on ${wish.rare}?` } });
    else if (wish.op === 'poll')
      await store.park(held, { untilMs: Date.now() + farMs, waiting: { reason: 'x' } });
    else if (wish.op === 'retryLater')
      await store.retryLater(held, { delayMs: farMs, error, mayHaveActed: wish.flag });
    else if (wish.op === 'hold')
      await store.recordHold(held, { expiresMs: Date.now() + farMs, renewMs: Date.now() + farMs });
    else await this.lock(wish, held);
  }

  /** Who does not get a lock waits for it, with no timer at all: the store must wake it. */
  private async lock({ op, flag }: Wish, held: Held): Promise<void> {
    const { store } = this.rig;
    if (op === 'unactlock') return store.releaseActLock(held, 'f51d');
    if (op !== 'lock' && op !== 'actlock') return;
    const asked =
      op === 'lock'
        ? store.takeLocks(held, [{ name: flag ? 'pool-1' : 'pool-2', capacity: 1 }])
        : store.takeActLock(held, 'f51d');
    if (!(await asked).held) await store.park(held, { untilMs: null, waiting: { reason: 'a lock' } });
  }

  private async person({ op, flag }: Wish, step: number): Promise<void> {
    const { store } = this.rig;
    const { run } = this;
    if (op === 'pause' || op === 'resume') await store[op](run, me);
    else if (op === 'wake') await store.wake(run, step);
    else if (op === 'retry') await store.retry(run, step, me);
    else if (op === 'retryAll') await store.retry(run, undefined, me);
    else if (op === 'skip') await store.skip(run, step, me);
    else if (op === 'markDone') await store.mark(run, step, 'done', me);
    else if (op === 'markFailed') await store.mark(run, step, 'failed', me);
    else if (op === 'redo') await store.redo(run, step, me);
    else if (op === 'decide')
      await store.decide(run, step, { verdict: flag ? 'approved' : 'rejected', comment: '', by: 'test' });
  }

  private async end({ op }: Wish, step: number): Promise<void> {
    const { store } = this.rig;
    const { run } = this;
    if (op === 'abort') await store.abort(run, me);
    else if (op === 'unlock') await store.unlock('pool-1', { run, step }, me);
    else if (op === 'undo') {
      await store.undo(run, me);
      this.size = (await store.extent(run)).size;
    } else {
      await store.kill(run, me);
      this.isKilled = true;
    }
  }

  /** Append three steps for a step of main that is held. */
  private async grow(step: number): Promise<void> {
    const { store } = this.rig;
    if ((await store.step(this.run, step))?.part !== 'main') return;
    const { size: first, groups: groupsFrom } = await store.extent(this.run);
    const shape: readonly Partial<PlanStep>[] = [{}, { after: [first] }, { after: [first, first + 1] }];
    const sketched = shape.map((one, at) => ({ id: `g${first + at}`, kind: 'task' as const, ...one }));
    const { steps } = planOf(sketched);
    const token = this.tokens.get(step)?.at(-1) ?? 'none';
    const hash = `g${this.run}-${first}`;
    const growth = { hash, groups: [], steps, first, groupsFrom, known: {} };
    await store.expand({ run: this.run, step, token }, growth);
    this.size = (await store.extent(this.run)).size;
  }
}
