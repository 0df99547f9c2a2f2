import type { PlanStep } from '../plan/plan.ts';

/**
 * Hold the edges of a run's steps in flat arrays: some bytes a step, whatever its size. Steps are numbered over the
 * whole run, from `first` on in what was appended to it.
 */
export interface Graph {
  /** Number of the first step that it describes. */
  readonly first: number;
  readonly size: number;
  /** Number of groups with places that it brings. */
  readonly groups: number;
  /** First letter of each step's kind, as a byte. */
  readonly kinds: Uint8Array;
  /** 1: of the part finally. */
  readonly isFinally: Uint8Array;
  /** Steps before step i: `before[beforeStart[i] … beforeStart[i + 1]]`, ascending, each once. */
  readonly before: Int32Array;
  readonly beforeStart: Int32Array;
}

/** Bytes that one number takes at most. */
const longestVarint = 5;

/**
 * Pack the edges of steps: for each its kind and part, how many steps are before it, and how far they are apart. What
 * follows a group of 100,000 is then 100,000 equal bytes, which compress to nothing.
 */
export function packGraph(steps: readonly PlanStep[], { first = 0, groups = 0 } = {}): Buffer {
  const edges = steps.reduce((sum, { after }) => sum + after.length, 0);
  const packed = Buffer.allocUnsafe(
    4 * longestVarint + steps.length * (2 + longestVarint) + edges * longestVarint,
  );
  let at = 0;
  const put = (value: number) => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) packed[at++] = (rest % 128) + 128;
    packed[at++] = rest;
  };
  put(first);
  put(steps.length);
  put(groups);
  put(edges);
  for (const step of steps) {
    packed[at++] = step.kind.charCodeAt(0);
    packed[at++] = step.part === 'finally' ? 1 : 0;
    const before = isAscending(step.after) ? step.after : [...new Set(step.after)].sort((a, b) => a - b);
    put(before.length);
    let last = 0;
    for (const index of before) {
      put(index - last);
      last = index;
    }
  }
  return Buffer.from(packed.subarray(0, at));
}

function isAscending(indices: readonly number[]): boolean {
  return indices.every((index, at) => at === 0 || index > (indices[at - 1] ?? index));
}

/** Read what `packGraph` has written. */
export function unpackGraph(packed: Buffer): Graph {
  let at = 0;
  const take = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = packed[at++] ?? 0;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  const [first, size, groups, edges] = [take(), take(), take(), take()];
  const kinds = new Uint8Array(size);
  const isFinally = new Uint8Array(size);
  const before = new Int32Array(edges);
  const beforeStart = new Int32Array(size + 1);
  let edge = 0;
  for (let index = 0; index < size; index += 1) {
    kinds[index] = packed[at++] ?? 0;
    isFinally[index] = packed[at++] ?? 0;
    let last = 0;
    for (let left = take(); left > 0; left -= 1) {
      last += take();
      before[edge++] = last;
    }
    beforeStart[index + 1] = edge;
  }
  return { first, size, groups, kinds, isFinally, before, beforeStart };
}

/** Steps of the plan that a graph was unpacked from: the one before it that each step comes after. */
export function beforeOf(graph: Graph, index: number): Int32Array {
  const own = index - graph.first;
  return graph.before.subarray(graph.beforeStart[own], graph.beforeStart[own + 1]);
}
