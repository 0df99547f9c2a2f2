import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../base/json.ts';
import type { Plan } from '../plan/plan.ts';
import type { Shell } from '../remote/command.ts';
import type { RunEvent } from '../run/events.ts';
import { deliverHook, type HookTarget, nameTarget } from './hook-delivery.ts';
import type { Duty } from './leader.ts';
import type { Store } from './store.ts';
import type { HookCursors } from './store-hooks.ts';
import { understandThrown } from './thrown.ts';

/** Say what is to be told to whom: changes of state of runs, or of their steps. */
export interface Hook {
  readonly on: 'run' | 'step';
  /** Absent: of runs all, of steps those that stay: not `ready` and `running`, which every poll of a wait brings. */
  readonly states?: readonly string[];
  /** Only runs of this playbook. */
  readonly playbook?: string;
  readonly target: HookTarget;
  /** Longest that one delivery may take. */
  readonly timeoutMs: number;
}

/** What hooks need. */
export interface HookParts {
  readonly store: Pick<Store, 'events' | 'plan' | 'unfinishedRuns'>;
  readonly cursors: HookCursors;
  /** This machine, for hooks that are commands. */
  readonly shell: Shell;
  /** Pause before the second try; it doubles with each further one. Default 1 s. */
  readonly pauseMs?: number;
  log(line: string): void;
}

/** Told after at most this, and no busier than that: a leader's rounds may be twenty milliseconds long. */
const roundMs = 500;
/** Runs that one hook tells of at a time: one that does not answer holds up so many, each in its own order. */
const runsAtOnce = 8;
/** Events read at once. */
const eventsAtOnce = 500;
/** A run with more news than this lets others have their turn. */
const readsInRound = 20;
const usualPauseMs = 1000;
/** With pauses of 1, 2, 4 … 64 s: a receiver may be away for two minutes, such as for a restart, and miss nothing. */
const mostTries = 8;
/** News older than this are none: a hook that comes back after long does not have to tell all of it. */
const oldestMs = 86_400_000;

/**
 * Make the duties of a leader that tell hooks what happens, one for each hook, so that none waits for another. Every
 * event that a hook asks for is told at least once, and in order within its run: the position is saved after the
 * receiver has taken it. A receiver that does not take it is tried again, then passed over with a line in the log.
 */
export function hookDuties(hooks: readonly Hook[], parts: HookParts): readonly Duty[] {
  return hooks.map((hook) => {
    const teller: Teller = { hook, id: idOf(hook), parts, failures: new Map(), asked: new Map() };
    const state = { nextMs: 0 };
    return async (signal) => {
      if (Date.now() < state.nextMs) return;
      state.nextMs = Date.now() + roundMs;
      await tellRound(teller, signal);
    };
  });
}

interface Failure {
  readonly seq: string;
  readonly tries: number;
  readonly againMs: number;
}

interface Teller {
  readonly hook: Hook;
  readonly id: string;
  readonly parts: HookParts;
  /** The event that was not taken, by run. */
  readonly failures: Map<string, Failure>;
  /** The question last told, by `run|step`: a wait that is asked about again puts it again. */
  readonly asked: Map<string, string>;
}

/** A hook keeps its place when others are added, or its limit of time is changed. */
function idOf({ timeoutMs: _limit, ...hook }: Hook): string {
  const text = canonicalJson(JSON.parse(JSON.stringify(hook)) as Json);
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

async function tellRound(teller: Teller, signal: AbortSignal): Promise<void> {
  const { store, cursors } = teller.parts;
  const positions = await cursors.open(teller.id);
  // asked after that: a run that is started in between would be taken for one that is over
  const unfinished = new Set(await store.unfinishedRuns());
  const waiting = [...positions].filter(([run]) => (teller.failures.get(run)?.againMs ?? 0) <= Date.now());
  const next = waiting.values();
  const faults: unknown[] = [];
  const tellNext = async () => {
    for (const [run, seq] of next) {
      if (signal.aborted) return;
      // one whose records cannot be read must not keep the others from being told
      await tellRun(teller, { run, seq, isOver: !unfinished.has(run) }, signal).catch((thrown: unknown) =>
        faults.push(thrown),
      );
    }
  };
  await Promise.all(Array.from({ length: runsAtOnce }, tellNext));
  if (faults.length > 0) throw faults[0];
}

interface Place {
  readonly run: string;
  readonly seq: string;
  readonly isOver: boolean;
}

async function tellRun(teller: Teller, { run, seq, isOver }: Place, signal: AbortSignal): Promise<void> {
  const { store, cursors } = teller.parts;
  let at = seq;
  for (let left = readsInRound; left > 0; left -= 1) {
    const events = await store.events(run, at, { limit: eventsAtOnce });
    for (const event of events) {
      const told = await tellEvent(teller, run, event, signal);
      if (!told) return cursors.save(teller.id, new Map([[run, at]]));
      at = event.seq;
      if (told === 'taken') await cursors.save(teller.id, new Map([[run, at]]));
    }
    if (events.length < eventsAtOnce) {
      if (isOver) return forget(teller, run);
      break;
    }
  }
  if (at !== seq) await cursors.save(teller.id, new Map([[run, at]]));
}

async function forget(teller: Teller, run: string): Promise<void> {
  for (const key of teller.asked.keys()) if (key.startsWith(`${run}|`)) teller.asked.delete(key);
  teller.failures.delete(run);
  await teller.parts.cursors.finish(teller.id, run);
}

/** @returns false where it has to be tried again */
async function tellEvent(
  teller: Teller,
  run: string,
  event: RunEvent,
  signal: AbortSignal,
): Promise<'taken' | 'no-news' | false> {
  const { hook, parts, failures } = teller;
  const news = await newsOf(teller, run, event);
  if (!news) return 'no-news';
  if (Date.now() - event.atMs > oldestMs) {
    parts.log(`${nameHook(hook)} is not told of ${run}/${event.seq}: it is more than a day old`);
    return 'taken';
  }
  try {
    await deliverHook(hook, news, { shell: parts.shell, signal });
    failures.delete(run);
    return 'taken';
  } catch (thrown) {
    // whoever leads next tells it
    if (signal.aborted) return false;
    return noteFailure(teller, run, event, thrown);
  }
}

function noteFailure(teller: Teller, run: string, { seq }: RunEvent, thrown: unknown): 'taken' | false {
  const { hook, parts, failures } = teller;
  const before = failures.get(run);
  const tries = before?.seq === seq ? before.tries + 1 : 1;
  const { code, message } = understandThrown(thrown);
  const what = `${nameHook(hook)} did not take ${run}/${seq}: ${code}: ${message}`;
  if (tries >= mostTries) {
    failures.delete(run);
    parts.log(`${what}; passed over after ${tries} tries`);
    return 'taken';
  }
  const pauseMs = (parts.pauseMs ?? usualPauseMs) * 2 ** (tries - 1);
  failures.set(run, { seq, tries, againMs: Date.now() + pauseMs });
  parts.log(`${what}; tried again in ${pauseMs / 1000} s`);
  return false;
}

const nameHook = ({ on, target }: Hook) => `the hook on ${on}s (${nameTarget(target)})`;

/** Give what is told of an event; undefined where this hook does not ask for it. */
async function newsOf(teller: Teller, run: string, event: RunEvent): Promise<News | undefined> {
  const { hook, parts } = teller;
  const state = stateOf(hook, event);
  if (state === undefined) return undefined;
  const plan = await parts.store.plan(run);
  const step = event.step === undefined ? undefined : plan.steps[event.step];
  if (hook.playbook !== undefined && plan.playbook !== hook.playbook) return undefined;
  if (hook.on === 'step' && step?.kind === 'barrier') return undefined;
  if (state === 'waiting' && !isNewQuestion(teller, run, event)) return undefined;
  return describeEvent({ run, plan, event, state });
}

const passing: readonly string[] = ['ready', 'running', 'pending'];

function stateOf({ on, states }: Hook, event: RunEvent): string | undefined {
  const state = changedTo(on, event);
  if (state === undefined) return undefined;
  const isWanted = states ? states.includes(state) : on === 'run' || !passing.includes(state);
  return isWanted ? state : undefined;
}

/** A wait is told by the event that says what it waits for. */
function changedTo(on: Hook['on'], { kind, state }: RunEvent): string | undefined {
  if (on === 'run') return kind === 'run-state-changed' ? state : undefined;
  if (kind === 'step-waits') return 'waiting';
  return kind === 'step-state-changed' && state !== 'waiting' ? state : undefined;
}

/** Of waits only those are news that ask a person something else than before: all others change with every poll. */
function isNewQuestion({ asked }: Teller, run: string, { step, data }: RunEvent): boolean {
  const { question } = (data ?? {}) as { readonly question?: string };
  const key = `${run}|${step}`;
  if (question === undefined || asked.get(key) === question) return false;
  asked.set(key, question);
  return true;
}

/** What a hook is told, as JSON. `idempotencyKey`: the same when it is told again. */
export interface News {
  readonly run: string;
  readonly playbook: string;
  readonly cluster: string;
  readonly target: string;
  /** Of the run; null where it has none. */
  readonly payload: Json;
  readonly event: {
    readonly seq: string;
    readonly atMs: number;
    readonly kind: RunEvent['kind'];
    readonly state: string;
    readonly step?: number;
    readonly stepId?: string;
    readonly stepPayload?: Json;
    readonly text?: string;
  };
  readonly idempotencyKey: string;
}

interface Change {
  readonly run: string;
  readonly plan: Plan;
  readonly event: RunEvent;
  readonly state: string;
}

function describeEvent({ run, plan, event, state }: Change): News {
  const { seq, atMs, kind, step: number, data } = event;
  const step = number === undefined ? undefined : plan.steps[number];
  const { question } = (data ?? {}) as { readonly question?: string };
  const text = question ?? event.text;
  const { playbook, cluster, target, payload = null } = plan;
  return {
    run,
    playbook,
    cluster,
    target,
    payload,
    event: {
      seq,
      atMs,
      kind,
      state,
      ...(number === undefined ? {} : { step: number }),
      ...(step === undefined ? {} : { stepId: step.id }),
      ...(step?.payload === undefined ? {} : { stepPayload: step.payload }),
      ...(text === undefined ? {} : { text }),
    },
    idempotencyKey: `${run}/${seq}`,
  };
}
