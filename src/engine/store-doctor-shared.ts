import type { PlanLock } from '../plan/plan.ts';
import type { Evidence, RunSet } from './store-doctor-read.ts';
import { type Diagnosis, isOver } from './store-doctor-rules.ts';
import { fieldsOf, type PlanView } from './store-plan.ts';

/** Compare the sets that a run stands in with its state. */
export function* checkSets(evidence: Evidence): Generator<Diagnosis> {
  const { meta, isIn } = evidence;
  const wanted = setsOf(evidence);
  for (const [set, shouldBe] of Object.entries(wanted) as [RunSet, boolean][]) {
    if (isIn[set] === shouldBe) continue;
    const what = meta['state'] === undefined ? 'unknown' : meta['state'];
    const text = `the run is ${what}, and ${shouldBe ? 'is missing' : 'stands'} among those that are ${setTexts[set]}`;
    yield {
      kind: 'set',
      is: shouldBe ? `not in ${set}` : `in ${set}`,
      shouldBe: shouldBe ? `in ${set}` : `not in ${set}`,
      text,
      fix: [['set', set, shouldBe ? '1' : '0']],
    };
  }
}

const setTexts: Readonly<Record<RunSet, string>> = {
  unfinished: 'unfinished',
  runs: 'listed',
  ended: 'ended',
  drafts: 'being written',
  queued: 'in a queue',
  outbox: 'to be dispatched',
};

function setsOf(evidence: Evidence): Partial<Record<RunSet, boolean>> {
  const { meta, sent } = evidence;
  const none = { unfinished: false, queued: false, ended: false } as const;
  // a dispatcher takes an unknown or ended run out of the outbox by itself; drafts have no run yet
  if (meta['state'] === undefined) return { ...none, runs: false };
  if (isOver(evidence)) return { ...none, runs: true, ended: true, drafts: false };
  const isHalted = meta['state'] === 'paused' || meta['state'] === 'planned';
  return {
    ...{ unfinished: true, runs: true, ended: false, drafts: false, queued: sent.size > 0 },
    ...(hasReady(evidence) && !isHalted && { outbox: true }),
  };
}

const hasReady = ({ rdy, rdyx }: Evidence) => rdyx.size > 0 || rdy.some((byte) => byte !== 0);

/** Look for locks that the run holds and should not, and for those that it should hold and does not. */
export function* checkLocks(evidence: Evidence, view: PlanView | undefined): Generator<Diagnosis> {
  yield* checkHeld(evidence);
  yield* checkActs(evidence);
  if (isOver(evidence) || evidence.meta['state'] === undefined) return;
  yield* checkOwnLocks(evidence, JSON.parse(evidence.meta['locks'] ?? '[]') as PlanLock[]);
  for (const step of evidence.judged) {
    const held = evidence.mem.get(`${step}:L`);
    if (held !== undefined) yield* checkStepLocks(evidence, step, JSON.parse(held) as PlanLock[]);
    const fsid = evidence.mem.get(`${step}:l`);
    if (fsid !== undefined && fsid === view?.head.fsid) yield* checkActLock(evidence, step, fsid);
  }
}

function* checkActLock({ run, acts }: Evidence, step: number, fsid: string): Generator<Diagnosis> {
  const holder = acts.get(fsid)?.holder;
  if (holder === `${run}|${step}`) return;
  const who = holder ? `${holder} has` : 'is free';
  yield {
    kind: 'lock',
    step,
    is: holder ? `held by ${holder}` : 'free',
    shouldBe: 'held',
    text: `{${step}} counts on the lock for what stops or destroys, which ${who}`,
    fix: holder ? [] : [['take-act', fsid, String(step)]],
  };
}

/** What a holder does not know of, or whose run is over, is left over. */
function* checkHeld(evidence: Evidence): Generator<Diagnosis> {
  const { run, locks, meta } = evidence;
  const isLive = meta['state'] !== undefined && !isOver(evidence);
  for (const [name, { holders }] of locks) {
    for (const holder of Object.keys(holders)) {
      const [other, step = ''] = holder.split('|');
      if (other !== run) continue;
      const known = step === '' ? meta['locks'] : evidence.mem.get(`${step}:L`);
      if (isLive && known?.includes(JSON.stringify(name))) continue;
      yield leftLock(step, `the lock ${name}`, ['free-lock', name, step], isLive);
    }
  }
}

function* checkActs(evidence: Evidence): Generator<Diagnosis> {
  const { run, acts, mem, meta } = evidence;
  const isLive = meta['state'] !== undefined && !isOver(evidence);
  for (const [fsid, { holder }] of acts) {
    const [other, step = ''] = holder?.split('|') ?? [];
    if (other !== run || (isLive && mem.get(`${step}:l`) === fsid)) continue;
    const what = `the lock for what stops or destroys in ${fsid}`;
    yield leftLock(step, what, ['free-act', fsid, step], isLive);
  }
}

function leftLock(step: string, what: string, fix: Diagnosis['fix'][number], isLive: boolean): Diagnosis {
  const who = step === '' ? 'the run' : `{${step}}`;
  return {
    kind: 'lock',
    ...(step !== '' && { step: Number(step) }),
    is: 'held',
    shouldBe: 'free',
    text: `${who} holds ${what}, and ${isLive ? 'does not know of it' : 'its run is over'}`,
    fix: [fix],
  };
}

function* checkOwnLocks(evidence: Evidence, own: readonly PlanLock[]): Generator<Diagnosis> {
  const { run, locks, meta, unlocked } = evidence;
  const me = `${run}|`;
  const lockOf = (name: string) => locks.get(name) ?? { holders: {}, waiters: [] };
  const isFree = ({ name, capacity }: PlanLock) => Object.keys(lockOf(name).holders).length < capacity;
  const waits = own.some(({ name }) => lockOf(name).waiters.includes(me));
  if (meta['state'] === 'planned') {
    if (waits && !own.every(isFree)) return;
    const text = waits
      ? 'the run waits for locks that are free'
      : 'the run waits for locks, and nobody knows of it';
    yield { kind: 'lock', is: 'planned', shouldBe: 'running, or woken', text, fix: [['start']] };
    return;
  }
  // one that is ended before it has started still waits, and one whose lock a person took away does without
  if (waits || unlocked.has('')) return;
  for (const lock of own) {
    if (lockOf(lock.name).holders[me] === undefined) yield lostLock(undefined, lock, isFree(lock));
  }
}

function* checkStepLocks(
  { run, locks, unlocked }: Evidence,
  step: number,
  own: readonly PlanLock[],
): Generator<Diagnosis> {
  if (unlocked.has(String(step)) || unlocked.has('')) return;
  for (const lock of own) {
    const holders = locks.get(lock.name)?.holders ?? {};
    if (holders[`${run}|${step}`] === undefined && holders[`${run}|`] === undefined)
      yield lostLock(step, lock, Object.keys(holders).length < lock.capacity);
  }
}

function lostLock(step: number | undefined, { name, capacity }: PlanLock, isFree: boolean): Diagnosis {
  const who = step === undefined ? 'the run' : `{${step}}`;
  return {
    kind: 'lock',
    ...(step !== undefined && { step }),
    is: 'not held',
    shouldBe: 'held',
    text: `${who} counts on the lock ${name}, which ${isFree ? 'it does not hold' : 'others hold'}`,
    fix: isFree ? [['take-lock', name, `${step ?? ''}|${capacity}`]] : [],
  };
}

/** Look whether the plan and all that was appended to it are there, and stay. */
export function* checkPlans(
  { plans, meta, states }: Evidence,
  view: PlanView | undefined,
): Generator<Diagnosis> {
  const plan = (text: string, key: string, fix: Diagnosis['fix']): Diagnosis => ({
    kind: 'plan',
    is: key,
    shouldBe: 'whole, and kept',
    text,
    fix,
  });
  if (!view)
    yield plan(
      'a part of the plan is not in the store; what it says cannot be known',
      meta['planKey'] ?? '',
      [],
    );
  const firsts = [0, ...(JSON.parse(meta['parts'] ?? '[]') as { first: number }[]).map(({ first }) => first)];
  for (const [at, { key, fields, lifeSeconds, uses }] of plans.entries()) {
    const size = (firsts[at + 1] ?? states.length) - (firsts[at] ?? 0);
    if (fields < fieldsOf(size)) {
      const text = `${fieldsOf(size) - fields} pages of the plan are not in the store`;
      yield plan(text, key, []);
    } else if (lifeSeconds !== -1) yield plan('the plan will be thrown away', key, [['keep', key]]);
    const own = plans.filter((one) => one.key === key).length;
    if (uses < own)
      yield plan('the plan is said to be used by no run', key, [['uses', key, `${uses}|${own}`]]);
  }
}

/** Tell what a run that is over has left: what it holds, and steps that nobody ended. */
export function* checkLeft({ meta, states, holds, nowMs, timers }: Evidence): Generator<Diagnosis> {
  for (const [step, text] of Object.entries(holds)) {
    const expiresMs = Number(text.split(' ')[0]);
    if (expiresMs <= nowMs) continue;
    const until = new Date(expiresMs).toISOString();
    yield {
      kind: 'hold',
      step: Number(step),
      is: `held until ${until}`,
      shouldBe: 'given back',
      text: `{${step}} set something that nobody gives back; it stays until ${until} at most`,
      fix: [],
    };
  }
  const isSwept = meta['sweep'] === undefined;
  const open = [...states].findIndex((state) => 'prRw'.includes(state));
  if (open < 0 || (!isSwept && timers.has('s'))) return;
  const text = `{${open}} has not ended, and the run is over`;
  const again: Diagnosis['fix'] = [
    ['meta', 'sweep', '0'],
    ['timer', 's', 'now'],
  ];
  yield { kind: 'unswept', step: open, is: 'open', shouldBe: 'cancelled', text, fix: again };
}

/** Compare the lengths of what is kept of a run with the size of its plan, and the part of each step with the plan's. */
export function* checkSize({ states, part, meta }: Evidence, view: PlanView): Generator<Diagnosis> {
  if (states.length !== view.size) {
    const [is, shouldBe] = [String(states.length), String(view.size)];
    const text = `the states of ${is} steps are known, and the plan has ${shouldBe}`;
    yield { kind: 'size', is, shouldBe, text, fix: [] };
    return;
  }
  if (meta['steps'] !== String(view.size)) {
    const text = `the run counts ${meta['steps']} steps, and the plan has ${view.size}`;
    const fix: Diagnosis['fix'] = [['meta', 'steps', String(view.size)]];
    yield { kind: 'size', is: String(meta['steps']), shouldBe: String(view.size), text, fix };
  }
  const planned = Array.from({ length: view.size }, (_, step) => (view.isFinally(step) ? 'f' : 'm')).join('');
  if (part === planned) return;
  const text = 'which steps belong to the end of the run is not what the plan says';
  yield { kind: 'size', is: 'another', shouldBe: "the plan's", text, fix: [['part', planned]] };
}
