import { parseDuration } from '../base/duration.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import type { Answer, Progress, Task } from '../task/task.ts';

/** Keep what a wait has seen from one question to the next. Times are milliseconds by Redis' clock. */
export type Observed = {
  /** Good answers in a row, and when the first of them came. */
  readonly good?: { readonly count: number; readonly sinceMs: number };
  /** Nearest to the goal so far (or the text, where no progress is measured), and when that was reached. */
  readonly best?: { readonly distance: number | null; readonly text: string; readonly atMs: number };
  /** Since when the engine itself asks a person something. */
  readonly askedMs?: number;
  /** What that question is about: an answer counts for nothing else. `act`: the act of unknown end; else see waits.ts. */
  readonly askedAbout?: string;
  /** The question that a person must answer before the act is tried again, whatever its risk. */
  readonly mustAnswer?: string;
  /** Nodes that the act has sent commands to: whoever takes over asks there what still runs. */
  readonly nodes?: readonly string[];
  /** When a person last said to go on: time limits and stalls count from here. */
  readonly calmMs?: number;
};

/** Say how a wait stands after an answer of `done`. */
export type Standing =
  | { readonly isDone: true; readonly observed: Observed }
  | {
      readonly isDone: false;
      readonly observed: Observed;
      readonly reason: string;
      readonly progress?: Progress;
      readonly question?: string;
      /** Ask again so soon to settle; absent: at the step's own pace. */
      readonly askInMs?: number;
    };

/** Read what an earlier claim kept. */
export function readObserved(value: Json | undefined): Observed {
  return isJsonObject(value) ? (value as JsonObject & Observed) : {};
}

/**
 * Weigh an answer of `done` against what was seen before: true counts only after as many good answers in a row over
 * as long a time as the task's `settle` says; anything else starts the count anew.
 */
export function weigh(
  answer: Answer,
  before: Observed,
  rules: Pick<Task, 'settle'>,
  nowMs: number,
): Standing {
  if (answer !== true) return weighWaiting(answer, before, nowMs);
  if (!rules.settle) return { isDone: true, observed: before };
  const { polls } = rules.settle;
  const overMs = parseDuration(rules.settle.over) ?? 0;
  const good = { count: (before.good?.count ?? 0) + 1, sinceMs: before.good?.sinceMs ?? nowMs };
  const observed = { ...before, good };
  if (good.count >= polls && nowMs - good.sinceMs >= overMs) return { isDone: true, observed };
  return {
    isDone: false,
    observed,
    reason: `settling: ${Math.min(good.count, polls)} of ${polls} good answers over ${rules.settle.over}`,
    askInMs: Math.ceil(overMs / Math.max(1, polls - 1)),
  };
}

function weighWaiting(answer: Exclude<Answer, true>, before: Observed, nowMs: number): Standing {
  const { waitingFor: reason, progress, question } = answer;
  const distance = progress ? Math.abs(progress.target - progress.value) : null;
  const best =
    before.best && !isNearer(distance, reason, before.best)
      ? before.best
      : { distance, text: reason, atMs: nowMs };
  const { good: _broken, ...rest } = before;
  return {
    isDone: false,
    observed: { ...rest, best },
    reason,
    ...(progress && { progress }),
    ...(question !== undefined && { question }),
  };
}

function isNearer(distance: number | null, text: string, best: NonNullable<Observed['best']>): boolean {
  if (distance === null || best.distance === null) return text !== best.text;
  return distance < best.distance;
}

/** Start the count of good answers anew: a question could not be answered. */
export function breakRow(observed: Observed): Observed {
  const { good: _broken, ...rest } = observed;
  return rest;
}

/** Since when nothing has moved, where the task's `stall` has passed; undefined while all is well. */
export function stalledSince(
  observed: Observed,
  rules: Pick<Task, 'stall'>,
  nowMs: number,
): number | undefined {
  const stallMs = rules.stall === undefined ? undefined : parseDuration(rules.stall);
  if (stallMs === undefined || !observed.best || observed.good) return undefined;
  const sinceMs = Math.max(observed.best.atMs, observed.calmMs ?? 0);
  return nowMs - sinceMs >= stallMs ? observed.best.atMs : undefined;
}

/** Keep the nodes that an act has sent commands to. */
export function withNodes(nodes: ReadonlySet<string>, observed: Observed): Observed {
  return nodes.size === 0 ? observed : { ...observed, nodes: [...nodes] };
}
