import { stepStateOf } from '../run/states.ts';
import type { Evidence } from './store-doctor-read.ts';
import { bitAt, type Diagnosis, type Expected, type Fix, u32At } from './store-doctor-rules.ts';
import type { PlanView } from './store-plan.ts';

/** Who holds a lease that has lost its end keeps it so long: a worker that lives renews it meanwhile. */
const leaseGraceMs = 60_000;

const nameOf = (byte: string | undefined) => stepStateOf(byte ?? '') ?? 'nothing';

/** Compare what each step waits for, the counters of the run and its state with the states of its steps. */
export function* checkCounters(evidence: Evidence, view: PlanView, expected: Expected): Generator<Diagnosis> {
  yield* checkLeft(evidence, view, expected);
  for (const name of ['mainLeft', 'finallyLeft', 'failed'] as const) {
    // the end of a run that is aborted does not ask for it
    if (name === 'failed' && evidence.meta['state'] === 'aborting') continue;
    const [is, shouldBe] = [evidence.meta[name] ?? '', String(expected[name])];
    if (is === shouldBe) continue;
    const text = `${counterTexts[name]}: the run counts ${is}, its steps say ${shouldBe}`;
    yield { kind: 'counter', is: `${name} ${is}`, shouldBe, text, fix: [['meta', name, shouldBe]] };
  }
  yield* checkState(evidence, expected);
}

const counterTexts = {
  mainLeft: 'steps that have not ended',
  finallyLeft: 'steps at the end that have not ended',
  failed: 'failed steps',
} as const;

function* checkLeft(evidence: Evidence, view: PlanView, { left }: Expected): Generator<Diagnosis> {
  const { states, dep } = evidence;
  const mended = Buffer.alloc(view.size * 4);
  dep.copy(mended);
  const found: Diagnosis[] = [];
  for (let step = 0; step < view.size; step += 1) {
    const [state = '', is, shouldBe = 0] = [states[step], u32At(dep, step), left[step]];
    if (isTooEarly(state) && shouldBe > 0) {
      found.push(earlyStep(evidence, step, shouldBe));
      mended.writeUInt32BE(shouldBe, 4 * step);
    }
    if (state !== 'p' || is === shouldBe) continue;
    mended.writeUInt32BE(shouldBe, 4 * step);
    const text = `{${step}} counts ${is} things to wait for, but ${shouldBe} are left`;
    const fix: Fix[] = shouldBe === 0 ? [['ready', step]] : [];
    found.push({ kind: 'dependency', step, is: String(is), shouldBe: String(shouldBe), text, fix });
  }
  // one write mends all of them: its order is given once
  for (const one of found) yield canMend(one) ? { ...one, fix: [['dep', mended], ...one.fix] } : one;
}

/** A step that has begun too early cannot be called back. */
const canMend = ({ kind, fix }: Diagnosis) => kind !== 'early' || fix.length > 0;

const isTooEarly = (state: string) => state !== '' && 'rRw?'.includes(state);

function earlyStep({ states, times }: Evidence, step: number, left: number): Diagnosis {
  const hasBegun = times.length >= 16 * step + 8 && times.readBigInt64BE(16 * step) !== 0n;
  const canWait = states[step] === 'r' && !hasBegun;
  return {
    kind: 'early',
    step,
    is: nameOf(states[step]),
    shouldBe: 'pending',
    text: `{${step}} is ${nameOf(states[step])} too early: ${left} things that it waits for have not ended`,
    fix: canWait ? [['pending', step]] : [],
  };
}

const goingOn = ['running', 'undoing', 'failed'];

function* checkState({ meta }: Evidence, { failed, mainLeft, finallyLeft }: Expected): Generator<Diagnosis> {
  const is = meta['state'] ?? '';
  const usual = meta['undo'] === undefined ? 'running' : 'undoing';
  const shouldBe = failed > 0 ? 'failed' : usual;
  if (mainLeft + finallyLeft === 0) {
    const text = `all its steps have ended, but the run is ${is}`;
    yield { kind: 'state', is, shouldBe: 'ended', text, fix: [['end']] };
  } else if (goingOn.includes(is) && is !== shouldBe) {
    yield {
      kind: 'state',
      is,
      shouldBe,
      text: `the run is ${is}, but by its steps it is ${shouldBe}`,
      fix: [['state', shouldBe]],
    };
  }
}

/** Look at what should go on by itself: what is ready or sent, what has nothing left to wait for, what is to be cancelled. */
export function* checkProgress(evidence: Evidence, view: PlanView, expected: Expected): Generator<Diagnosis> {
  const { states, dep, meta } = evidence;
  for (let step = 0; step < view.size; step += 1) {
    yield* checkReady(evidence, step);
    const isCancelled = expected.isEnding(step) && !view.isFinally(step);
    if (states[step] !== 'p') continue;
    if (isCancelled && meta['sweep'] === undefined) yield unswept(step, view.size);
    if (isCancelled || u32At(dep, step) !== 0 || expected.left[step] !== 0) continue;
    const text = `{${step}} has nothing left to wait for, and yet it is pending`;
    yield { kind: 'stuck', step, is: 'pending', shouldBe: 'ready', text, fix: [['ready', step]] };
  }
}

function unswept(step: number, size: number): Diagnosis {
  const text = `{${step}} is pending in a run that is being ended, and nobody cancels it`;
  const again: Fix[] = [
    ['meta', 'swept', String(size)],
    ['meta', 'sweep', '0'],
    ['timer', 's', 'now'],
  ];
  return { kind: 'unswept', step, is: 'pending', shouldBe: 'cancelled', text, fix: again };
}

function* checkReady({ states, rdy, rdyx, sent, special }: Evidence, step: number): Generator<Diagnosis> {
  const state = states[step] ?? '';
  const isUsual = bitAt(rdy, step);
  const places = [isUsual, rdyx.has(step), sent.has(step)].filter(Boolean).length;
  if (state !== 'r' && state !== '?') {
    if (places === 0) return;
    const text = `{${step}} is ${nameOf(state)}, and stands among what is to be begun`;
    yield { kind: 'ready', step, is: 'to be begun', shouldBe: nameOf(state), text, fix: [['unready', step]] };
    return;
  }
  if (places === 1 && !(isUsual && special[step] !== undefined)) return;
  const is = places === 0 ? 'neither in the outbox nor sent' : 'in the outbox twice, or in the wrong one';
  const text = `{${step}} is ${nameOf(state)}, but ${is}`;
  yield { kind: 'ready', step, is, shouldBe: 'in the outbox, or sent', text, fix: [['send', step]] };
}

/** Look for what is due some day, and has lost the timer that says when. */
export function* checkTimers(evidence: Evidence): Generator<Diagnosis> {
  const { states, cut, judged, timers, nowMs } = evidence;
  for (const step of judged) {
    const state = states[step] ?? '';
    if (timers.has(String(step))) continue;
    if (state === 'R') {
      const text = `{${step}} is running, and nothing ends its lease when its worker dies`;
      yield lostTimer(step, text, [['timer', step, String(nowMs + leaseGraceMs)]]);
    } else if (state === 'w') yield* checkWaiting(evidence, step);
    else if (evidence.sent.has(step) && (state === 'r' || state === '?')) {
      const text = `{${step}} was sent, and nothing sends it anew if its delivery is lost`;
      yield lostTimer(step, text, [['timer', step, 'now']]);
    }
  }
  for (const step of cut.keys()) yield* checkCut(evidence, step);
  yield* checkRunTimers(evidence);
}

const lostTimer = (step: number, text: string, fix: readonly Fix[]): Diagnosis => ({
  kind: 'timer',
  step,
  is: 'no timer',
  shouldBe: 'a timer',
  text,
  fix,
});

/** A step waits by a timer, for a place, for a lock, for a person, or until its run goes on. */
function* checkWaiting(evidence: Evidence, step: number): Generator<Diagnosis> {
  const { mem, waiters, stopped, meta, nowMs } = evidence;
  if (waiters.has(step)) return;
  const [since = '', next = ''] = (mem.get(`${step}:q`) ?? '').split('|', 2);
  if (next !== '') {
    const text = `{${step}} waits to be asked again, and nothing asks it`;
    yield lostTimer(step, text, [['timer', step, String(Math.max(Number(next), nowMs))]]);
    return;
  }
  const waiting = (mem.get(`${step}:q`) ?? '').slice(since.length + 2);
  if (waiting.includes('"question":') || (stopped.has(step) && meta['state'] === 'paused')) return;
  if (waitsForLock(evidence, step)) return;
  yield lostTimer(step, `{${step}} waits, and nothing wakes it`, [['ask', step]]);
}

function waitsForLock({ run, locks, acts }: Evidence, step: number): boolean {
  const all = [...locks.values(), ...acts.values()];
  return all.some(({ waiters }) => waiters.includes(`${run}|${step}`));
}

function* checkCut({ states, timers }: Evidence, step: number): Generator<Diagnosis> {
  if (!'skfUux'.includes(states[step] ?? '')) {
    const text = `{${step}} has not ended, and yet its followers are counted down`;
    yield { kind: 'slice', step, is: 'a cursor', shouldBe: 'none', text, fix: [['uncut', step]] };
  } else if (!timers.has(String(step))) {
    const text = `{${step}} has ended, and nothing goes on counting its followers down`;
    yield lostTimer(step, text, [['timer', step, 'now']]);
  }
}

function* checkRunTimers({ meta, timers, holds, nowMs }: Evidence): Generator<Diagnosis> {
  const lost = (text: string, fix: Fix): Diagnosis => ({
    kind: 'timer',
    is: 'no timer',
    shouldBe: 'a timer',
    text,
    fix: [fix],
  });
  if (meta['sweep'] !== undefined && !timers.has('s'))
    yield lost('nothing goes on cancelling its steps', ['timer', 's', 'now']);
  if (meta['deadlineMs'] !== undefined && !timers.has('d')) {
    const due = Number(meta['createdMs']) + Number(meta['deadlineMs']);
    yield lost('nobody is told when its deadline passes', ['timer', 'd', String(Math.max(due, nowMs))]);
  }
  for (const [step, text] of Object.entries(holds)) {
    if (timers.has(`${step}|h`)) continue;
    const renewMs = text.split(' ')[1] ?? 'now';
    yield {
      ...lost(`what {${step}} holds is not renewed`, ['timer', `${step}|h`, renewMs]),
      step: Number(step),
    };
  }
}
