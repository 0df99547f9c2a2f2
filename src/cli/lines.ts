import { isJsonObject } from '../base/json.ts';
import type { RunSnapshot } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent } from '../run/events.ts';
import { mostLines, wrapWords } from './text.ts';

/** Characters of a run's id that people see and may type: the random end of a ULID. */
const shortLength = 4;

/** Shorten a run's id for people. Commands take it wherever it is unique. */
export const shortRun = (run: string): string => run.slice(-shortLength);

/** Write a moment as lines and lists show it: UTC, to the second. */
export function formatMoment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

const field = (text: string, width: number) => text.padEnd(width);

/** Hold what one line of a run's course tells. */
interface Course {
  readonly atMs: number;
  readonly step: string;
  readonly state: string;
  readonly text: string;
}

/** Write one line of a run's course, or several where the terminal is narrow. */
export type LineWriter = (course: Course) => string;

/** Narrower than this, a line with date, run and columns would hardly ever fit. */
const wideTerminal = 120;

/**
 * Choose how lines are written. Into a file or a wide terminal: `2026-11-23T03:12:44Z  7Q2M  step  state  text`.
 * Into a narrow one: `03:12:44  step  state  text`, and a long text in lines of its own.
 */
export function lineWriter(run: string, width: number | undefined): LineWriter {
  if (width !== undefined && width < wideTerminal) return (course) => narrowLine(course, width);
  return (course) => wideLine(run, course);
}

const oneLine = (text: string) => text.replaceAll(/\s*\n\s*/g, ' | ');

function wideLine(run: string, { atMs, step, state, text }: Course): string {
  const stepWidth = 28;
  const stateWidth = 9;
  return [formatMoment(atMs), shortRun(run), field(step, stepWidth), field(state, stateWidth), oneLine(text)]
    .join('  ')
    .trimEnd();
}

function narrowLine({ atMs, step, state, text }: Course, width: number): string {
  const time = formatMoment(atMs).slice('2026-11-23T'.length, -1);
  const stepWidth = 22;
  const head = `${time}  ${field(step, stepWidth)}  ${state}`;
  const whole = text === '' ? head : `${head}  ${oneLine(text)}`;
  if (whole.length <= width) return whole;
  if (text.length > width * mostLines) return `${head}\n${oneLine(text)}`;
  const indent = ' '.repeat(time.length + 2);
  return [head, ...wrapWords(oneLine(text), width - indent.length).map((line) => `${indent}${line}`)].join(
    '\n',
  );
}

/** Write an event as a line, or undefined where it says nothing to people (barriers, what is only for machines). */
export function eventLine(write: LineWriter, plan: Plan, event: RunEvent): string | undefined {
  const step = event.step === undefined ? undefined : plan.steps[event.step];
  if (step?.kind === 'barrier' || isForMachines(event)) return undefined;
  // the step that is taken back says the same of itself: undoing, undone
  if (step?.kind === 'undo' && saidByOther.includes(event.state ?? '')) return undefined;
  const state = event.state ?? stateWords[event.kind];
  return write({ atMs: event.atMs, step: step?.id ?? '-', state, text: textOf(event) });
}

const saidByOther: readonly string[] = ['ready', 'running', 'succeeded'];

/** Tell whether an event is of no interest to people: there are too many, and others say the same. */
export function isForMachines({ kind }: RunEvent): boolean {
  return kind === 'steps-became-ready' || kind === 'step-acting';
}

/** Give the sentence of an event; that of a wait is its reason. */
export function textOf({ kind, text, data, count = 0 }: RunEvent): string {
  if (kind === 'run-controlled') return describeControl(text ?? '');
  if (kind === 'run-grew') return count === 1 ? 'a step is appended' : `${count} steps are appended`;
  const reason = data !== undefined && isJsonObject(data) ? data['reason'] : undefined;
  return text ?? (typeof reason === 'string' ? reason : '');
}

/** Say `approved by ada: looks good` for what is recorded as `decide by ada: approved: looks good`. */
export function describeControl(text: string): string {
  const [, by, verdict, comment = ''] = /^decide by (.*?): (approved|rejected)(.*)$/s.exec(text) ?? [];
  const why = comment.replace(/^[: ]+/, '');
  return by === undefined || verdict === undefined ? text : `${verdict} by ${by}${why && `: ${why}`}`;
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
  'steps-became-ready': 'ready',
  'step-acting': 'acting',
  'run-grew': 'grown',
  'step-waits': 'waiting',
  'step-logged': 'log',
  'hold-renewed': 'renewed',
  'run-controlled': 'control',
};
