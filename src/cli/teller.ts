import { formatDuration } from '../base/duration.ts';
import { errorCodes } from '../base/errors.ts';
import { isJsonObject } from '../base/json.ts';
import type { LockView, RunSnapshot } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent } from '../run/events.ts';
import type { RunState, StepState } from '../run/states.ts';
import type { Context } from './context.ts';
import { describeFailures, describeQuestions } from './failures.ts';
import { isHalted } from './glance.ts';
import { describeLockWaits } from './held-locks.ts';
import { describeLeftBehind } from './left-behind.ts';
import { eventLine, lineWriter, shortRun } from './lines.ts';
import { createNoiseFilter } from './noise.ts';
import { createTally, describeFar, describeProgress, describeWait, waitingSteps } from './progress.ts';

/** Waits told again with a heartbeat: the longest ones; `show` has them all. */
const waitsAtHeartbeat = 5;

const endCodes: Readonly<Partial<Record<RunState, number>>> = {
  succeeded: 0,
  failed: 1,
  'left-over': 1,
  aborted: errorCodes.RUN_ABORTED.exit,
  undone: errorCodes.RUN_UNDONE.exit,
};

/** Name the run that is told about. */
export interface Told {
  readonly context: Context;
  /** The plan as it is known by now: a run may grow. */
  readonly plan: () => Plan;
  readonly run: string;
}

/** Tell of a run line by line on the terminal, or event by event as JSON. `before`: states of the steps so far. */
export function createTeller(told: Told, before: readonly StepState[]) {
  const { context, plan, run } = told;
  const { io, wire, globals } = context;
  const isJson = globals.output === 'json';
  const noise = createNoiseFilter();
  const asked = new Set<string>();
  const tally = createTally(plan, before);
  let haltTold: RunState | undefined;
  const write = lineWriter(run, io.dataWidth);
  return {
    /** Tell an event, if it is worth a line; `snapshot` is at least as new. */
    event(event: RunEvent, snapshot: RunSnapshot): void {
      if (isJson) {
        const step = event.step === undefined ? undefined : plan().steps[event.step]?.id;
        io.data(JSON.stringify({ run, ...event, step }));
        return;
      }
      if (event.kind === 'step-state-changed' && event.step !== undefined)
        tally.set(event.step, event.state as StepState);
      const line = noise.isNews(event)
        ? eventLine(write, plan(), enrich(event, snapshot, tally.far()))
        : undefined;
      if (line !== undefined && !globals.quiet) io.data(line);
    },
    /** Tell how far the run is, and what it has waited for longest. */
    heartbeat(snapshot: RunSnapshot): void {
      if (isJson || globals.quiet) return;
      const atMs = snapshot.nowMs;
      io.data(write({ atMs, step: '-', state: 'heartbeat', text: describeProgress(plan(), snapshot) }));
      for (const { step, waiting } of waitingSteps(snapshot.views).slice(0, waitsAtHeartbeat)) {
        const text = describeWait(waiting, atMs);
        io.data(write({ atMs, step: plan().steps[step]?.id ?? '-', state: 'waiting', text }));
      }
    },
    /** Tell that steps are ready and nobody takes them. */
    untaken({ state, counts }: RunSnapshot): void {
      if (!counts.ready || counts.running || isHalted(state)) return;
      io.warn(
        `run ${shortRun(run)}: ${counts.ready} steps are ready, and no worker takes them; look with: ${wire.self} doctor`,
      );
    },
    /** Tell once that nothing new begins, why, and what lets it go on. `locks`: all; needed where the run waits for its own. */
    halt(snapshot: RunSnapshot, locks: readonly LockView[]): void {
      const { state } = snapshot;
      if (state !== haltTold && isHalted(state)) io.say(describeHalt(snapshot, { locks, self: wire.self }));
      haltTold = state;
    },
    /** Tell the questions that were not told yet, with what answers them. */
    questions(snapshot: RunSnapshot): void {
      const isNew = (view: RunSnapshot['views'][number]) => {
        const key = `${view.step} ${view.attempt} ${view.waiting?.question}`;
        const isFirst = view.waiting?.question !== undefined && !asked.has(key);
        asked.add(key);
        return isFirst;
      };
      const news = { ...snapshot, views: snapshot.views.filter(isNew) };
      const text = describeQuestions(plan(), news, { self: wire.self, width: io.sayWidth });
      if (text !== '') io.warn(text);
    },
    /** Tell how it ended, what is left behind and what can be typed. @returns the exit code of the follower */
    end(snapshot: RunSnapshot): number {
      const { state } = snapshot;
      const telling = { self: wire.self, width: io.sayWidth };
      const leftBehind = state === 'succeeded' ? '' : describeLeftBehind(plan(), snapshot, telling.width);
      if (leftBehind !== '') io.warn(leftBehind);
      const failures = describeFailures(plan(), snapshot, telling);
      if (failures !== '') io.warn(failures);
      if (state !== 'failed') io.say(describeEnd(plan(), snapshot));
      return exitCodeOf(snapshot);
    },
  };
}

function exitCodeOf({ state, views }: RunSnapshot): number {
  const failed = views.filter((view) => view.state === 'failed');
  const isRejected = failed.length > 0 && failed.every((view) => view.error?.code === 'REJECTED');
  return state === 'failed' && isRejected ? errorCodes.REJECTED.exit : (endCodes[state] ?? 1);
}

/** Say how a run that is over has ended: `run 7Q2M succeeded: 18/18 done in 1h05m, 2 of them skipped`. */
function describeEnd(plan: Plan, snapshot: RunSnapshot): string {
  const { run, state, states, counts, createdMs, endedMs, nowMs } = snapshot;
  const took = formatDuration((endedMs ?? nowMs) - createdMs);
  const skipped = counts.skipped ? `, ${counts.skipped} of them skipped` : '';
  const cancelled = plan.steps.filter(
    ({ kind }, index) => kind !== 'barrier' && states[index] === 'cancelled',
  ).length;
  const never = cancelled === 0 ? '' : `, ${cancelled} cancelled`;
  return `run ${shortRun(run)} ${state}: ${describeFar(plan, states)} in ${took}${skipped}${never}`;
}

/** Say that nothing new begins in a run, and what changes that. */
function describeHalt(
  snapshot: RunSnapshot,
  { locks, self }: { readonly locks: readonly LockView[]; readonly self: string },
): string {
  const run = shortRun(snapshot.run);
  if (snapshot.state === 'paused')
    return `run ${run} is paused: what is under way ends, nothing new begins; go on with: ${self} resume ${run}`;
  const waits = describeLockWaits(snapshot, locks).map((lock) => `  ${lock}`);
  return [
    `run ${run} begins when its locks are free; give up with: ${self} abort ${run} --reason "…"`,
    ...waits,
  ].join('\n');
}

/** Put into an event's sentence what only the snapshot or the follower knows. */
function enrich(event: RunEvent, snapshot: RunSnapshot, far: string): RunEvent {
  const { kind } = event;
  if (kind !== 'step-waits' && kind !== 'step-state-changed') return event;
  const text = kind === 'step-waits' ? sentenceOfWait(event, snapshot) : sentenceOfState(event, far);
  return text === undefined ? event : { ...event, text };
}

function sentenceOfWait({ step, data }: RunEvent, { views, nowMs }: RunSnapshot): string | undefined {
  const { reason, question } = isJsonObject(data) ? data : {};
  // the question itself follows, with what answers it
  if (typeof question === 'string' && typeof reason === 'string' && reason.endsWith(question))
    return 'for an answer of a person';
  const waiting = views.find((view) => view.step === step)?.waiting;
  return waiting && waiting.reason === reason ? describeWait(waiting, nowMs) : undefined;
}

function sentenceOfState({ state, text, attempt }: RunEvent, far: string): string | undefined {
  if (state === 'succeeded' || state === 'skipped') return text === undefined ? far : `${text} (${far})`;
  if (text !== undefined) return undefined;
  if (state === 'undone') return far;
  if (state === 'unknown') return 'its worker is gone; whether the act happened is found out now';
  return state === 'running' && attempt !== undefined && attempt > 1 ? `attempt ${attempt}` : undefined;
}
