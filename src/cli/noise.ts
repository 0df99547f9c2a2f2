import { isJsonObject } from '../base/json.ts';
import type { RunEvent } from '../run/events.ts';
import { isForMachines, textOf } from './lines.ts';

/** A reason that comes and goes (a gate that settles, and is disturbed again) is told again after this. */
const recurMs = 60_000;
/** A number that moves is told again after this, however little it moved. */
const reminderMs = 300_000;
/** A number that has moved by this part of what was left is told at once. */
const noticeable = 0.2;
/** But no wait is told more often than this for its numbers. */
const breathMs = 15_000;

/**
 * Keep the lines of a followed run few: a wait is told when its reason changes by more than its numbers, when its
 * progress has become noticeable, or when it is long ago; the asking in between (ready, running, waiting again) is not
 * told at all.
 */
export function createNoiseFilter() {
  const waits = new Map<number, Told>();
  const begun = new Set<number>();

  function isNewReason(step: number, event: RunEvent): boolean {
    const text = textOf(event);
    if (text === '') return false;
    const reason = text.replaceAll(/\d+(\.\d+)?/g, '#');
    const told = waits.get(step) ?? { reasons: new Map<string, number>() };
    if (!isWorthTelling(told, { reason, text, event })) return false;
    told.reasons.set(reason, event.atMs);
    waits.set(step, { ...told, reason, text, attempt: event.attempt, left: leftOf(event) });
    return true;
  }

  return {
    /** Tell whether an event is worth a line. */
    isNews(event: RunEvent): boolean {
      const { step, kind, state, attempt } = event;
      if (isForMachines(event)) return false;
      if (step === undefined) return true;
      if (kind === 'step-waits' || state === 'waiting') return isNewReason(step, event);
      if (kind !== 'step-state-changed') return kind !== 'hold-renewed';
      if (state === 'ready') return false;
      // an abort cancels all that has not begun: its number is told at the end
      if (state === 'cancelled') return begun.has(step);
      begun.add(step);
      if (state === 'running') return isAnotherTry(waits.get(step), attempt);
      waits.delete(step);
      return true;
    },
  };
}

interface Told {
  /** When each reason was last told; numbers are masked. */
  readonly reasons: Map<string, number>;
  readonly reason?: string;
  readonly text?: string;
  readonly attempt?: number | undefined;
  /** How far the progress that was told last is from its target. */
  readonly left?: number | undefined;
}

interface News {
  readonly reason: string;
  readonly text: string;
  readonly event: RunEvent;
}

function isWorthTelling(told: Told, { reason, text, event }: News): boolean {
  const lastMs = told.reasons.get(reason);
  if (lastMs === undefined) return true;
  const agoMs = event.atMs - lastMs;
  if (told.reason !== reason) return agoMs >= recurMs;
  if (told.text === text) return false;
  return agoMs >= reminderMs || (agoMs >= breathMs && hasMoved(told.left, leftOf(event)));
}

function hasMoved(before: number | undefined, now: number | undefined): boolean {
  if (before === undefined || now === undefined) return false;
  return Math.abs(before - now) >= noticeable * before;
}

function leftOf({ data }: RunEvent): number | undefined {
  const progress = data !== undefined && isJsonObject(data) ? data['progress'] : undefined;
  if (!isJsonObject(progress)) return undefined;
  const { value, target } = progress;
  return typeof value === 'number' && typeof target === 'number' ? Math.abs(target - value) : undefined;
}

/** A step that waits becomes ready and running each time it is asked: only another attempt is worth telling. */
function isAnotherTry(told: Told | undefined, attempt: number | undefined): boolean {
  if (told === undefined) return true;
  return attempt !== undefined && told.attempt !== undefined && attempt !== told.attempt;
}
