import type { Canvas } from './canvas.ts';
import { type Feed, holdsPrevious } from './previous.ts';

/** Whose outputs each vertex takes that takes something of its predecessor; undefined: nothing stands before it. */
export type Feeds = ReadonlyMap<number, Feed | undefined>;

/**
 * Find whose outputs the steps of a canvas take with `previous`.
 * @param indexOf gives the vertex of a step by its number in the canvas, in the order in which it is written
 */
export function feedsOf(canvas: Canvas, indexOf: (step: number) => number): Feeds {
  const tracing: Tracing = { steps: 0, placed: new Map(), takers: [] };
  trace(tracing, canvas, undefined);
  const feedOf = feeder(tracing, indexOf);
  return new Map(tracing.takers.map(({ step, source }) => [indexOf(step), feedOf(source)]));
}

/** Whose outputs a canvas passes on: a step's by its number, a list of its members', or those of whatever has these ids. */
type Source = number | { readonly list: readonly Source[] } | { readonly named: readonly string[] };

interface Tracing {
  /** Number of steps so far. */
  steps: number;
  /** What each canvas that has a name passes on. */
  readonly placed: Map<string, Source | undefined>;
  readonly takers: { readonly step: number; readonly source: Source | undefined }[];
}

/** Go through a canvas behind what `before` passes on; returns what it passes on itself. */
function trace(tracing: Tracing, canvas: Canvas, before: Source | undefined): Source | undefined {
  const source = traceKind(tracing, canvas, canvas.after ? { named: canvas.after } : before);
  if (canvas.id !== undefined) tracing.placed.set(canvas.id, source);
  return source;
}

function traceKind(tracing: Tracing, canvas: Canvas, before: Source | undefined): Source | undefined {
  if (canvas.canvas === 'chain') {
    let last = before;
    for (const item of canvas.items) last = trace(tracing, item, last);
    return last;
  }
  if (canvas.canvas === 'group') {
    const list: Source[] = [];
    for (const member of canvas.members) {
      const first = tracing.steps;
      const last = trace(tracing, member, before);
      // a member without steps returns nothing
      if (tracing.steps > first && last !== undefined) list.push(last);
    }
    return { list };
  }
  const step = tracing.steps;
  tracing.steps += 1;
  if (canvas.canvas === 'step' && holdsPrevious(canvas.with)) tracing.takers.push({ step, source: before });
  return step;
}

/** What stands before many steps is looked up once: they share the feed. Ends: nothing comes after itself any more. */
function feeder({ placed }: Tracing, indexOf: (step: number) => number) {
  const known = new Map<Source | string, Feed | undefined>();
  const feedOf = (source: Source | undefined): Feed | undefined => {
    if (source === undefined) return undefined;
    if (typeof source === 'number') return indexOf(source);
    const key = 'named' in source ? JSON.stringify(source.named) : source;
    if (known.has(key)) return known.get(key);
    const sources = 'named' in source ? source.named.map((id) => placed.get(id)) : source.list;
    const list = sources.flatMap((one) => {
      const feed = feedOf(one);
      return feed === undefined ? [] : [feed];
    });
    const feed = 'named' in source && sources.length === 1 ? list[0] : list;
    known.set(key, feed);
    return feed;
  };
  return feedOf;
}
