import { isEndedRun, type RunState } from '../run/states.ts';
import type { StoreFinding } from './store.ts';
import type { Evidence } from './store-doctor-read.ts';
import type { PlanView } from './store-plan.ts';
import type { ScriptArgument } from './store-scripts.ts';

/** Be an order to lua/repair.lua, whose head lists them: a name and up to two words. */
export type Fix = readonly [op: string, first?: ScriptArgument, second?: ScriptArgument];

/** Say what is wrong and what mends it. A step stands in the text as `{12}`, its number: few are looked up. */
export interface Diagnosis extends Omit<StoreFinding, 'run' | 'canRepair'> {
  /** Empty: no script can mend it. */
  readonly fix: readonly Fix[];
}

/** Hold what follows from the states and the plan of a run that is not over: what all counters are compared with. */
export interface Expected {
  /** What each step waits for. */
  readonly left: Int32Array;
  readonly mainLeft: number;
  readonly finallyLeft: number;
  readonly failed: number;
  /** Counted as ended: its successors, or the run, wait for it no more. */
  isSettled(step: number): boolean;
  /** Main steps that have not begun are cancelled (lua/common.lua, is_ending). */
  isEnding(step: number): boolean;
}

/** Tell whether a run is over. */
export const isOver = ({ meta }: Evidence): boolean => isEndedRun(meta['state'] as RunState);

/** Work out from the states of a run what its counters must be. */
export function expectedOf(evidence: Evidence, view: PlanView): Expected {
  const { states } = evidence;
  const isEnding = endingOf(evidence);
  const isCounted = sweptOf(evidence);
  const isSettled = (step: number) => {
    const state = states[step] ?? '';
    if ('skcUux'.includes(state)) return state !== '';
    return state === 'f' && (view.isFinally(step) || (isEnding(step) && isCounted(step)));
  };
  let [mainLeft, finallyLeft, failed] = [0, 0, 0];
  for (let step = 0; step < view.size; step += 1) {
    const isFinally = view.isFinally(step);
    if (states[step] === 'f' && !isFinally && !isEnding(step)) failed += 1;
    if (isSettled(step)) continue;
    if (isFinally) finallyLeft += 1;
    else mainLeft += 1;
  }
  const left = leftOf(evidence, view);
  // the gate that the end of main opens
  for (let step = 0; step < view.size && mainLeft > 0; step += 1) {
    if (view.isFinally(step)) left[step] = (left[step] ?? 0) + 1;
  }
  return { left, mainLeft, finallyLeft, failed, isSettled, isEnding };
}

function endingOf({ meta }: Evidence): (step: number) => boolean {
  const undoFrom = Number(meta['undo'] ?? Number.NEGATIVE_INFINITY);
  return (step) => meta['state'] === 'aborting' || step < undoFrom;
}

/** A sweep under way counts the failed steps that it comes by; an earlier one may have counted some. */
function sweptOf({ meta }: Evidence): (step: number) => boolean {
  const { sweep, swept = '0' } = meta;
  return (step) => sweep === undefined || step < Math.max(Number(sweep), Number(swept));
}

/** Steps before each that have not ended well; those whose followers are counted in slices count up to their cursor. */
function leftOf({ states, cut }: Evidence, { shape, size, isFinally }: PlanView): Int32Array {
  const left = new Int32Array(size);
  for (let from = 0; from < size; from += 1) {
    const state = states[from] ?? '';
    const isPassed = 'skUux'.includes(state) || (state === 'f' && isFinally(from));
    const end = shape.afterStart[from + 1] ?? 0;
    const begin = isPassed ? (shape.afterStart[from] ?? 0) + (cut.get(from) ?? end) : shape.afterStart[from];
    for (let at = begin ?? 0; at < end; at += 1) {
      const to = shape.after[at] ?? 0;
      left[to] = (left[to] ?? 0) + 1;
    }
  }
  return left;
}

/** Read a number of 32 bits of a packed string; what was never written is 0. */
export function u32At(packed: Buffer, index: number): number {
  return packed.length >= 4 * index + 4 ? packed.readUInt32BE(4 * index) : 0;
}

/** Read a bit of a packed string. */
export function bitAt(packed: Buffer, index: number): boolean {
  return ((packed[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
}
