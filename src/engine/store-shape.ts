import type { Plan, PlanStep } from '../plan/plan.ts';
import { stepStates } from '../run/states.ts';
import { beforeOf, type Graph } from './store-graph.ts';

/** Successors counted down by one script: some milliseconds of Redis' time. */
const sliceSize = 500;

/** Hold who comes after whom in a whole run: within main and within finally, since the edge between is the gate's. */
export interface Shape {
  readonly size: number;
  /** Steps after step i: `after[afterStart[i] … afterStart[i + 1]]`. */
  readonly after: Int32Array;
  readonly afterStart: Int32Array;
}

/** Be a graph that was appended for an expand step: its last step stands for what comes after that one. */
export interface GrownGraph {
  readonly graph: Graph;
  /** The expand step; -1 where nothing comes after what was appended. */
  readonly by: number;
}

/** Put the graphs of a plan and of what was appended to it together. */
export function shapeOf(base: Graph, grown: readonly GrownGraph[]): Shape {
  const graphs = [base, ...grown.map(({ graph }) => graph)];
  const size = graphs.reduce((sum, graph) => sum + graph.size, 0);
  const standsFor = new Map(grown.map(({ graph, by }) => [by, graph.first + graph.size - 1]));
  const afterStart = new Int32Array(size + 1);
  forEachEdge(graphs, standsFor, (from) => {
    afterStart[from + 1] = (afterStart[from + 1] ?? 0) + 1;
  });
  for (let index = 0; index < size; index += 1) {
    afterStart[index + 1] = (afterStart[index + 1] ?? 0) + (afterStart[index] ?? 0);
  }
  const after = new Int32Array(afterStart[size] ?? 0);
  const next = afterStart.slice();
  forEachEdge(graphs, standsFor, (from, to) => {
    after[next[from] ?? 0] = to;
    next[from] = (next[from] ?? 0) + 1;
  });
  return { size, after, afterStart };
}

function forEachEdge(
  graphs: readonly Graph[],
  standsFor: ReadonlyMap<number, number>,
  visit: (from: number, to: number) => void,
): void {
  for (const graph of graphs) {
    for (let to = graph.first; to < graph.first + graph.size; to += 1) {
      for (const from of innerBefore(graph, to)) visit(standsFor.get(from) ?? from, to);
    }
  }
}

/**
 * The steps before one that it is counted down by: of its own part, and of its own graph. What was appended waits for its
 * expand step no more, since that has ended by appending it.
 */
function innerBefore(graph: Graph, index: number): Int32Array {
  const { first, isFinally } = graph;
  const part = isFinally[index - first];
  return beforeOf(graph, index).filter((from) => from >= first && isFinally[from - first] === part);
}

/** Give one slice of a step's successors, and the cursor of the next slice ('' at the end). */
export function sliceOf(shape: Shape, step: number, from: number): { list: string; next: string } {
  const [start, end] = [shape.afterStart[step] ?? 0, shape.afterStart[step + 1] ?? 0];
  const stop = Math.min(end, start + from + sliceSize);
  if (start + from >= stop) return { list: '', next: '' };
  return {
    list: shape.after.subarray(start + from, stop).join(','),
    next: stop < end ? String(from + sliceSize) : '',
  };
}

/** Hold what a run begins with, packed as the store keeps it. */
export interface FirstStates {
  /** A byte a step: roots of main are ready. */
  readonly states: Buffer;
  /** What each step waits for; finally steps wait for one more, the end of main. */
  readonly dependencies: Buffer;
  readonly part: Buffer;
  /** A bit a step, the roots'. */
  readonly ready: Buffer;
  /** Numbers of the first deliveries. */
  readonly deliveries: Buffer;
  readonly roots: readonly number[];
  readonly finallySteps: readonly number[];
}

/** Derive the first states of the steps of a graph. */
export function firstStates(graph: Graph): FirstStates {
  const { size, first } = graph;
  const states = Buffer.alloc(size, stepStates.pending);
  const dependencies = Buffer.alloc(size * 4);
  const ready = Buffer.alloc(Math.ceil(size / 8));
  const roots: number[] = [];
  const finallySteps: number[] = [];
  let lastRoot = -1;
  for (let own = 0; own < size; own += 1) {
    const isFinally = graph.isFinally[own] === 1;
    // what is appended comes when that gate has opened
    const gate = isFinally && first === 0 ? 1 : 0;
    const count = innerBefore(graph, first + own).length + gate;
    dependencies.writeUInt32BE(count, own * 4);
    if (isFinally) finallySteps.push(first + own);
    if (count > 0) continue;
    roots.push(first + own);
    lastRoot = own;
    states.write(stepStates.ready, own);
    ready[own >> 3] = (ready[own >> 3] ?? 0) | (0x80 >> (own & 7));
  }
  const part = Buffer.from(Array.from(graph.isFinally, (is) => (is === 1 ? 0x66 : 0x6d)));
  // unpacked lazily: what never was ready has no number yet
  const deliveries = Buffer.alloc((lastRoot + 1) * 4);
  for (const root of roots) deliveries.writeUInt32BE(1, (root - first) * 4);
  return { states, dependencies, part, ready, deliveries, roots, finallySteps };
}

/**
 * Give the places of a step as the scripts read them: `group:member:max:size;…`; '' where it needs none.
 * @param from number of the first of `groups` in the run
 */
export function placesText(groups: Plan['groups'], { places }: PlanStep, from = 0): string {
  return places
    .map(({ group, member }) => {
      const { maxParallel = 1, memberSizes = [] } = groups[group - from] ?? {};
      return `${group}:${member}:${maxParallel}:${memberSizes[member] ?? 1}`;
    })
    .join(';');
}

/** Give the priority and the queue of a step as the scripts read them; '' where they are the usual ones. */
export function specialText({ priority = 0, queue = '' }: PlanStep): string {
  return priority === 0 && queue === '' ? '' : `${priority}|${queue}`;
}
