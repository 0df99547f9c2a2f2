import { isJsonObject } from '../base/json.ts';
import type { RunSnapshot } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent } from '../run/events.ts';

/** Characters of a run's id that people see and may type: the random end of a ULID. */
const shortLength = 4;

/** Shorten a run's id for people. Commands take it wherever it is unique. */
export const shortRun = (run: string): string => run.slice(-shortLength);

/** Write a moment as lines and lists show it: UTC, to the second. */
export function formatMoment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

const field = (text: string, width: number) => text.padEnd(width);

/** Write one line of a run's course: `2026-11-23T03:12:44Z  7Q2M  step  state  text`. */
export function courseLine(
  facts: { readonly atMs: number; readonly run: string },
  step: string,
  state: string,
  text: string,
): string {
  const stepWidth = 28;
  const stateWidth = 9;
  return [
    formatMoment(facts.atMs),
    shortRun(facts.run),
    field(step, stepWidth),
    field(state, stateWidth),
    text.replaceAll(/\s*\n\s*/g, ' | '),
  ]
    .join('  ')
    .trimEnd();
}

/** Write an event as a line, or undefined where it says nothing to people (barriers). */
export function eventLine(run: string, plan: Plan, event: RunEvent): string | undefined {
  const step = event.step === undefined ? undefined : plan.steps[event.step];
  if (step?.kind === 'barrier') return undefined;
  const state = event.state ?? stateWords[event.kind];
  return courseLine({ atMs: event.atMs, run }, step?.id ?? '-', state, textOf(event));
}

/** Give the sentence of an event; that of a wait is its reason. */
export function textOf({ text, data }: RunEvent): string {
  const reason = data !== undefined && isJsonObject(data) ? data['reason'] : undefined;
  return text ?? (typeof reason === 'string' ? reason : '');
}

/** Give the events of failing the errors that the store keeps with the steps. */
export function tellFailures(events: readonly RunEvent[], { views }: Pick<RunSnapshot, 'views'>): RunEvent[] {
  const errors = new Map(views.map((view) => [view.step, view.error]));
  return events.map((event) => {
    const error = event.state === 'failed' && event.step !== undefined ? errors.get(event.step) : undefined;
    return error === undefined ? event : { ...event, text: `${error.code}  ${error.message}` };
  });
}

const stateWords: Readonly<Record<RunEvent['kind'], string>> = {
  'run-state-changed': 'run',
  'step-state-changed': 'step',
  'step-waits': 'waiting',
  'step-logged': 'log',
  'hold-renewed': 'renewed',
  'run-controlled': 'control',
};

/** Write how far a run is: `heartbeat  23/96 done, 2 running, 3 waiting, 0 failed`. */
export function heartbeatLine(snapshot: RunSnapshot): string {
  const { counts, steps } = snapshot;
  const done = (counts.succeeded ?? 0) + (counts.skipped ?? 0);
  const text = `${done}/${steps} done, ${counts.running ?? 0} running, ${counts.waiting ?? 0} waiting, ${counts.failed ?? 0} failed`;
  return courseLine({ atMs: snapshot.nowMs, run: snapshot.run }, '-', 'heartbeat', text);
}
