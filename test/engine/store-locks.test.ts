import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import type { Grant } from '../../src/engine/leases.ts';
import type { LockView } from '../../src/engine/store.ts';
import type { PlanLock } from '../../src/plan/plan.ts';
import { isEndedRun } from '../../src/run/states.ts';
import { planOf } from './plans.ts';
import { type Rig, rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

/** Runs hold racks and the cluster, steps nodes, OSDs and the cluster: so no two can wait for one another in a circle. */
const ofRuns = ['rack/x', 'cluster/x'] as const;
const ofSteps = ['node/x', 'osd/x', 'cluster/x'] as const;
const runCount = 3;
const stepCount = 3;

const anyNames = <T extends string>(names: readonly T[]) => fc.uniqueArray(fc.constantFrom(...names));
const anyScene = fc.record({
  capacities: fc.record({
    'rack/x': fc.integer({ min: 1, max: 3 }),
    'cluster/x': fc.integer({ min: 1, max: 3 }),
    'node/x': fc.integer({ min: 1, max: 3 }),
    'osd/x': fc.integer({ min: 1, max: 3 }),
  }),
  runs: fc.array(
    fc.record({
      own: anyNames(ofRuns),
      steps: fc.array(anyNames(ofSteps), { minLength: stepCount, maxLength: stepCount }),
    }),
    { minLength: runCount, maxLength: runCount },
  ),
});
type Sketch = typeof anyScene extends fc.Arbitrary<infer S> ? S : never;
type Name = keyof Sketch['capacities'];

const usual = [
  'take',
  'take',
  'take',
  'take',
  'park',
  'park',
  'acting',
  'acting',
  'acting',
  'complete',
] as const;
const others = ['claim', 'fail', 'retry', 'again', 'expire', 'skip', 'unlock', 'wake'] as const;
const ends = ['abort', 'kill'] as const;
const anyWish = fc.record({
  op: fc.constantFrom(...usual, ...others, ...ends),
  run: fc.nat(runCount - 1),
  step: fc.nat(stepCount - 1),
  /** What ends a run is rare. */
  rare: fc.nat(1),
});
type Wish = typeof anyWish extends fc.Arbitrary<infer W> ? W : never;

const me = { by: 'test' };
const error = { code: 'COMMAND_FAILED', message: 'broke' } as const;
const farMs = 1e12;

/** Plays workers and people on some runs that share locks. */
class Players {
  readonly rig: Rig;
  readonly sketch: Sketch;
  readonly prefix: string;
  readonly grants = new Map<string, Grant>();
  /** Steps whose last try was refused: parked, only the lock wakes them. */
  readonly refused = new Set<string>();
  /** What a person has taken away; the holder goes on without it. */
  readonly unlocked = new Set<string>();
  constructor(at: Rig, sketch: Sketch, prefix: string) {
    this.rig = at;
    this.sketch = sketch;
    this.prefix = prefix;
  }

  readonly runOf = (run: number) => `${this.prefix}-${run}`;
  readonly runs = () => this.sketch.runs.map((_, run) => this.runOf(run));
  readonly listOf = (names: readonly Name[]): PlanLock[] =>
    names.map((name) => ({ name: this.nameOf(name), capacity: this.sketch.capacities[name] }));
  /** Games share a store, and no locks. */
  readonly nameOf = (name: Name) => `${name}.${this.prefix}`;

  /** The locks of this game, under their short names. */
  async locks(): Promise<readonly LockView[]> {
    const all = await this.rig.store.locks();
    const own = all.filter(({ name }) => name.endsWith(`.${this.prefix}`));
    return own.map((lock) => ({ ...lock, name: lock.name.slice(0, -this.prefix.length - 1) }));
  }

  readonly wantedBy = (run: number, step: number): readonly Name[] =>
    this.sketch.runs[run]?.steps[step] ?? [];

  async begin(): Promise<void> {
    for (const [run, { own, steps }] of this.sketch.runs.entries()) {
      const sketches = steps.map((names, step) => ({ id: `s${step}`, locks: this.listOf(names) }));
      const plan = planOf(sketches, { locks: this.listOf(own) });
      await this.rig.store.createRun(plan, { ...me, run: this.runOf(run), waits: true });
    }
  }

  /** Play; what is refused is nothing to us. */
  async play(wish: Wish): Promise<void> {
    try {
      await this.act(wish);
    } catch (thrown) {
      if (!(thrown instanceof CephflowError && thrown.code === 'CONTROL_REFUSED')) throw thrown;
    }
  }

  private async act({ op, run: number, step, rare }: Wish): Promise<void> {
    const { store } = this.rig;
    const run = this.runOf(number);
    if (op === 'take') return this.take(number, step);
    if (op === 'claim') return void (await this.claim(number, step));
    if (op === 'expire') return this.rig.fire(run, step);
    if (op === 'skip') return store.skip(run, step, me);
    if (op === 'again') return void (await store.retry(run, step, me));
    if (op === 'wake') return void (await store.wake(run, step));
    if (op === 'unlock') return this.unlock(number, step, rare > 0);
    if (op === 'abort') return rare === 0 ? store.abort(run, me) : undefined;
    if (op === 'kill') return rare === 0 ? store.kill(run, me) : undefined;
    if (op === 'acting') await this.take(number, step);
    return this.goOn(op, number, step);
  }

  /** What only who has the lease does. */
  private async goOn(op: Wish['op'], run: number, step: number): Promise<void> {
    const { store } = this.rig;
    const grant = this.grants.get(`${run}|${step}`);
    if (!grant) return;
    if (op === 'acting') return void (this.refused.has(`${run}|${step}`) || (await store.acting(grant)));
    if (op === 'park') return this.park(run, step);
    if (op === 'retry')
      return void (await store.retryLater(grant, { delayMs: farMs, error, mayHaveActed: true }));
    if (op === 'fail')
      return void (await store.complete(grant, { state: 'failed', acted: true, error, mayHaveActed: true }));
    await store.complete(grant, { state: 'succeeded', acted: true });
  }

  async claim(number: number, step: number): Promise<boolean> {
    const run = this.runOf(number);
    const delivery = await this.rig.delivery(run, step);
    const answer = await this.rig.store.claim({ run, step, delivery, worker: 'w', leaseMs: farMs });
    if (answer.kind !== 'granted') return false;
    this.grants.set(`${number}|${step}`, answer.grant);
    this.refused.delete(`${number}|${step}`);
    return true;
  }

  async take(run: number, step: number): Promise<void> {
    await this.claim(run, step);
    const grant = this.grants.get(`${run}|${step}`);
    const locks = this.listOf(this.wantedBy(run, step));
    if (!grant || locks.length === 0) return;
    const answer = await this.rig.store.takeLocks(grant, locks);
    if (answer.held) this.refused.delete(`${run}|${step}`);
    else if (answer.name !== undefined) this.refused.add(`${run}|${step}`);
  }

  async park(run: number, step: number): Promise<void> {
    const grant = this.grants.get(`${run}|${step}`);
    const untilMs = this.refused.has(`${run}|${step}`) ? null : Date.now() + farMs;
    if (grant)
      await this.rig.store.park(grant, { untilMs, waiting: { reason: 'a lock, or something else' } });
  }

  private async unlock(number: number, step: number, isOfStep: boolean): Promise<void> {
    const names = isOfStep ? this.wantedBy(number, step) : (this.sketch.runs[number]?.own ?? []);
    const run = this.runOf(number);
    const holder = isOfStep ? { run, step } : { run };
    for (const name of names)
      if (await this.rig.store.unlock(this.nameOf(name), holder, me)) this.unlocked.add(nameOf(name, holder));
  }
}

const nameOf = (lock: string, { run, step }: { readonly run: string; readonly step?: number }) =>
  `${lock} of ${run}|${step ?? ''}`;

/** What is wrong with the locks just now, one sentence each. */
async function faultsOf(players: Players): Promise<readonly string[]> {
  const { store } = players.rig;
  const [locks, views] = await Promise.all([
    players.locks(),
    Promise.all(players.runs().map(async (run) => ({ run, ...(await store.brief(run)) }))),
  ]);
  const seen: Seen = { players, locks, holds: new Set(locks.flatMap(namesOf)) };
  const over = views.filter(({ state }) => isEndedRun(state)).map(({ run }) => run);
  const faults = locks.flatMap(({ name, holders }) => {
    const most = players.sketch.capacities[name as Name];
    const crowd =
      holders.length > most ? [`${name} has ${holders.length} holders, and it allows ${most}`] : [];
    const dead = holders.filter(({ run }) => over.includes(run));
    return [...crowd, ...dead.map(({ run }) => `${name} is held by ${run}, which is over`)];
  });
  for (const [number, { own }] of players.sketch.runs.entries()) {
    const { run = '', state = 'succeeded' } = views[number] ?? {};
    if (state === 'planned' && areFree(seen, own, run)) faults.push(`${run} waits, and its locks are free`);
    if (!isEndedRun(state)) faults.push(...(await stepFaults(seen, number)));
  }
  return faults;
}

async function stepFaults(seen: Seen, number: number): Promise<readonly string[]> {
  const { players, holds } = seen;
  const run = players.runOf(number);
  const states = await players.rig.states(run);
  const steps = players.sketch.runs[number]?.steps ?? [];
  return steps.flatMap((names, step) => {
    const state = states[step] ?? 'p';
    const isParked = state === 'w' && players.refused.has(`${number}|${step}`);
    const isHolder = names.some((name) => holds.has(nameOf(name, { run, step })));
    return [
      ...(isParked && areFree(seen, names, run, step) ? ['waits, and its locks are free'] : []),
      ...(isHalf(seen, names, run, step) ? ['has some of its locks, not all'] : []),
      ...('skc'.includes(state) && isHolder ? ['has ended, and holds a lock'] : []),
    ].map((fault) => `step ${step} of ${run} ${fault}`);
  });
}

interface Seen {
  readonly players: Players;
  readonly locks: readonly LockView[];
  /** `<lock> of <run>|<step>` of all holders. */
  readonly holds: ReadonlySet<string>;
}

const namesOf = ({ name, holders }: LockView) => holders.map((holder) => nameOf(name, holder));

const hasItself = ({ holds }: Seen, name: Name, run: string, step?: number) =>
  holds.has(nameOf(name, { run })) || (step !== undefined && holds.has(nameOf(name, { run, step })));

function areFree(seen: Seen, names: readonly Name[], run: string, step?: number): boolean {
  return names.every((name) => {
    const held = seen.locks.find((lock) => lock.name === name)?.holders.length ?? 0;
    return hasItself(seen, name, run, step) || held < seen.players.sketch.capacities[name];
  });
}

function isHalf(seen: Seen, names: readonly Name[], run: string, step: number): boolean {
  const { unlocked } = seen.players;
  const isHolder = names.some((name) => seen.holds.has(nameOf(name, { run, step })));
  const lacks = names.filter((name) => !hasItself(seen, name, run, step));
  const wasTaken = (name: Name) =>
    unlocked.has(nameOf(name, { run, step })) || unlocked.has(nameOf(name, { run }));
  return isHolder && lacks.some((name) => !wasTaken(name));
}

/** Let everything go on and end; nobody is woken but by the locks. */
async function drain(players: Players): Promise<void> {
  // in each round at least one step ends, or one is parked for good
  for (let round = 0; round < 2 * runCount * stepCount + 2; round += 1) {
    for (const run of players.sketch.runs.keys()) await drainRun(players, run);
  }
}

async function drainRun(players: Players, run: number): Promise<void> {
  const { store } = players.rig;
  const id = players.runOf(run);
  for (let step = 0; step < stepCount; step += 1) {
    const key = `${run}|${step}`;
    const state = (await players.rig.states(id))[step];
    if (state === 'w' && !players.refused.has(key)) await store.wake(id, step);
    if (state === 'f') await store.skip(id, step, me).catch(() => undefined);
    await players.take(run, step);
    if (players.refused.has(key)) await players.park(run, step);
    else await players.play({ op: 'complete', run, step, rare: 0 });
  }
}

test('locks: never more holders than allowed, all or none, and nobody waits for one that is free', async () => {
  let games = 0;
  await fc.assert(
    fc.asyncProperty(anyScene, fc.array(anyWish, { maxLength: 30 }), async (sketch, wishes) => {
      games += 1;
      const players = new Players(rig, sketch, `g${games}`);
      await players.begin();
      for (const wish of wishes) {
        await players.play(wish);
        expect({ wish, faults: await faultsOf(players) }).toEqual({ wish, faults: [] });
      }
      await drain(players);
      const states = await Promise.all(players.runs().map(async (run) => (await rig.store.brief(run)).state));
      expect(states.filter((state) => !isEndedRun(state))).toEqual([]);
      expect(await players.locks()).toEqual([]);
    }),
    { numRuns: 100 },
  );
}, 120_000);

test('locks: what a killed act held goes at once to a step and to a run that wait for it', async () => {
  const { store } = rig;
  const locks = [{ name: 'node/x', capacity: 1 }];
  for (const run of ['a', 'b']) await store.createRun(planOf([{ id: 's', locks }]), { ...me, run });
  const [first, second] = [await rig.claim('a', 0), await rig.claim('b', 0)];
  expect(await store.takeLocks(first, locks)).toMatchObject({ held: true });
  expect(await store.acting(first)).toBe('accepted');
  expect(await store.takeLocks(second, locks)).toMatchObject({ held: false, holder: { run: 'a', step: 0 } });
  await store.park(second, { untilMs: null, waiting: { reason: 'a lock' } });
  await store.kill('a', me);
  expect(await rig.states('b')).toBe('r');
  const again = await rig.claim('b', 0);
  expect(await store.takeLocks(again, locks)).toEqual({ held: true });
  expect(await store.acting(again)).toBe('accepted');
  await store.createRun(planOf([{ id: 's' }], { locks }), { ...me, run: 'c', waits: true });
  expect(await rig.runState('c')).toBe('planned');
  await store.kill('b', me);
  expect(await rig.runState('c')).toBe('running');
  expect(await store.locks()).toMatchObject([{ name: 'node/x', holders: [{ run: 'c' }], waiters: [] }]);
});
