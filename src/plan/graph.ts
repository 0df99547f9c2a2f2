import { CephflowError } from '../base/errors.ts';
import type { Canvas, ChainCanvas, GroupCanvas, StepCanvas } from './canvas.ts';
import { orderVertices } from './order.ts';
import type { PlanGroup, PlanStep } from './plan.ts';
import { type Feed, holdsPrevious } from './previous.ts';

/** Be a vertex of a graph: a step, or a barrier that joins what stands before it with what stands behind. */
export interface Vertex {
  readonly id: string;
  /** Absent for a barrier. */
  readonly step?: StepCanvas;
  /** Indices of the vertices before it, all smaller than its own, ascending. */
  readonly after: readonly number[];
  readonly places: PlanStep['places'];
}

/**
 * Be a canvas turned into vertices in topological order; `ends`: those that no other comes after; `feeds`: for the
 * vertices that take something of their predecessor, whose outputs they take (undefined: nothing stands before).
 */
export interface Graph {
  readonly vertices: readonly Vertex[];
  readonly groups: readonly PlanGroup[];
  readonly ends: readonly number[];
  readonly feeds: ReadonlyMap<number, Feed | undefined>;
}

/** What came of a canvas: a graph, or why there is none. `cycle`: ids in their order, the first again at the end. */
export type Built =
  | { readonly graph: Graph }
  | { readonly cycle: readonly string[] }
  | { readonly unknown: readonly { readonly id: string; readonly by: string }[] };

/** Nesting deeper than this is a mistake, and would cost the stack. */
const deepest = 500;

/** Turn a canvas into a graph. Edges grow with n + m where a group of n is followed by one of m. */
export function buildGraph(canvas: Canvas): Built {
  const builder: Builder = {
    drafts: [],
    groups: [],
    placed: new Map(),
    waiting: [],
    names: new Map(),
    barriers: 0,
  };
  place(builder, canvas, { incoming: [], source: undefined, places: [], depth: 0 });
  const unknown = builder.waiting.flatMap(({ draft, names }) =>
    names.filter((id) => !builder.placed.has(id)).map((id) => ({ id, by: draft.id })),
  );
  if (unknown.length > 0) return { unknown };
  resolveWaiting(builder);
  return finish(builder);
}

interface Draft {
  readonly id: string;
  readonly step?: StepCanvas;
  /** What stands before it, where it takes something of that. */
  readonly source?: Source | undefined;
  readonly after: Set<Draft>;
  readonly places: PlanStep['places'];
}

/** Whose outputs a canvas passes on: a step's, a list of its members', or those of whatever has these ids. */
type Source =
  | { readonly step: Draft }
  | { readonly list: readonly Source[] }
  | { readonly named: readonly string[] };

/** What came of placing a canvas: its last vertices, or what stood before where it holds no step at all. */
interface Placed {
  readonly ends: readonly Draft[];
  readonly source: Source | undefined;
}

interface Builder {
  readonly drafts: Draft[];
  readonly groups: { id: string; maxParallel: number; memberSizes: number[] }[];
  /** What came of each canvas that has a name. */
  readonly placed: Map<string, Placed>;
  /** Vertices whose `after` names others that may not be there yet. */
  readonly waiting: { readonly draft: Draft; readonly names: readonly string[] }[];
  /** Ids given, with the number that was last put behind each. */
  readonly names: Map<string, number>;
  barriers: number;
}

interface Spot {
  readonly incoming: readonly Draft[];
  readonly source: Source | undefined;
  readonly places: PlanStep['places'];
  readonly depth: number;
}

/** Place a canvas behind `incoming`. */
function place(builder: Builder, canvas: Canvas, spot: Spot): Placed {
  if (spot.depth > deepest) {
    throw new CephflowError('PLAYBOOK_INVALID', `steps are nested deeper than ${deepest} levels`);
  }
  const placed = placeKind(builder, canvas, { ...spot, depth: spot.depth + 1 });
  if (canvas.id !== undefined) builder.placed.set(canvas.id, placed);
  return placed;
}

function placeKind(builder: Builder, canvas: Canvas, spot: Spot): Placed {
  const source = canvas.after ? { named: canvas.after } : spot.source;
  if (canvas.canvas === 'step') {
    const draft = addDraft(builder, canvas.id ?? canvas.task, spot.incoming, {
      step: canvas,
      ...(holdsPrevious(canvas.with) ? { source } : {}),
      places: spot.places,
    });
    if (canvas.after) builder.waiting.push({ draft, names: canvas.after });
    return { ends: [draft], source: { step: draft } };
  }
  let { incoming } = spot;
  if (canvas.after) {
    const entry = addBarrier(builder, incoming);
    builder.waiting.push({ draft: entry, names: canvas.after });
    incoming = [entry];
  }
  const inner = { ...spot, incoming, source };
  return canvas.canvas === 'chain' ? placeChain(builder, canvas, inner) : placeGroup(builder, canvas, inner);
}

function placeChain(builder: Builder, chain: ChainCanvas, spot: Spot): Placed {
  const siblings = new Set(chain.items.flatMap(({ id }) => (id === undefined ? [] : [id])));
  const followed = new Set(chain.items.flatMap(({ after }) => after ?? []));
  const open: Draft[] = [];
  let last: Placed = { ends: spot.incoming, source: spot.source };
  chain.items.forEach((item, index) => {
    const behind = item.after?.some((id) => siblings.has(id)) ? [] : spot.incoming;
    last = place(builder, item, {
      ...spot,
      incoming: item.after ? behind : last.ends,
      source: last.source,
    });
    const next = chain.items[index + 1];
    const isFollowed =
      next !== undefined && (!next.after || (item.id !== undefined && followed.has(item.id)));
    if (next !== undefined && !isFollowed) open.push(...last.ends);
  });
  const lastItem = chain.items.at(-1);
  const isLastFollowed = lastItem?.id !== undefined && followed.has(lastItem.id);
  const ends = [...new Set([...open, ...(isLastFollowed && open.length > 0 ? [] : last.ends)])];
  return { ends, source: last.source };
}

function placeGroup(builder: Builder, group: GroupCanvas, spot: Spot): Placed {
  let { incoming } = spot;
  if (incoming.length > 1 && group.members.length > 1) incoming = [addBarrier(builder, incoming)];
  const limit = group.maxParallel;
  const index = builder.groups.length;
  const limited = {
    id: group.id ?? `group-${index + 1}`,
    maxParallel: limit ?? 0,
    memberSizes: [] as number[],
  };
  if (limit !== undefined) builder.groups.push(limited);
  const ends = new Set<Draft>();
  const list: Source[] = [];
  group.members.forEach((member, number) => {
    const places = limit === undefined ? spot.places : [...spot.places, { group: index, member: number }];
    const before = builder.drafts.length;
    const last = place(builder, member, { ...spot, incoming, places });
    const added = builder.drafts.slice(before);
    limited.memberSizes.push(added.filter((draft) => draft.step).length);
    // A member without steps ends where it begins: what follows waits for the others.
    if (added.length === 0) return;
    for (const draft of last.ends) ends.add(draft);
    if (last.source) list.push(last.source);
  });
  return { ends: ends.size > 0 ? [...ends] : incoming, source: { list } };
}

function addDraft(
  builder: Builder,
  wanted: string,
  incoming: readonly Draft[],
  more: Pick<Draft, 'step' | 'source' | 'places'>,
): Draft {
  const draft = { id: freeId(builder, wanted), after: new Set(incoming), ...more };
  builder.drafts.push(draft);
  return draft;
}

function freeId(builder: Builder, wanted: string): string {
  let count = (builder.names.get(wanted) ?? 0) + 1;
  // Ends: of one more candidate than there are names, one is free.
  while (count > 1 && builder.names.has(`${wanted}-${count}`)) count += 1;
  builder.names.set(wanted, count);
  if (count === 1) return wanted;
  builder.names.set(`${wanted}-${count}`, 1);
  return `${wanted}-${count}`;
}

function addBarrier(builder: Builder, incoming: readonly Draft[]): Draft {
  builder.barriers += 1;
  return addDraft(builder, `barrier-${builder.barriers}`, incoming, { places: [] });
}

/** Give the vertices with `after` their edges; many that wait for the same many go through one barrier. */
function resolveWaiting(builder: Builder): void {
  const byTargets = new Map<string, Draft[]>();
  for (const { draft, names } of builder.waiting) {
    const key = JSON.stringify(names.toSorted());
    byTargets.set(key, [...(byTargets.get(key) ?? []), draft]);
  }
  for (const [key, drafts] of byTargets) {
    const names = JSON.parse(key) as string[];
    const targets = [...new Set(names.flatMap((id) => builder.placed.get(id)?.ends ?? []))];
    const before = targets.length > 1 && drafts.length > 1 ? [addBarrier(builder, targets)] : targets;
    for (const draft of drafts) for (const one of before) draft.after.add(one);
  }
}

function finish(builder: Builder): Built {
  const { drafts } = builder;
  const indexOf = new Map(drafts.map((draft, index) => [draft, index]));
  const indices = (set: ReadonlySet<Draft>, map: ReadonlyMap<Draft, number>) =>
    [...set].flatMap((draft) => map.get(draft) ?? []).toSorted((a, b) => a - b);
  const result = orderVertices(drafts.map((draft) => indices(draft.after, indexOf)));
  if ('cycle' in result) return { cycle: result.cycle.map((index) => drafts[index]?.id ?? '') };
  const ordered = result.order.flatMap((index) => drafts[index] ?? []);
  const placeOf = new Map(ordered.map((draft, index) => [draft, index]));
  const vertices = ordered.map(({ id, step, after, places }) => ({
    id,
    ...(step ? { step } : {}),
    after: indices(after, placeOf),
    places,
  }));
  const hasFollower = new Set(vertices.flatMap(({ after }) => after));
  const ends = vertices.map((_, index) => index).filter((index) => !hasFollower.has(index));
  const feedOf = feeder(builder, placeOf);
  const feeds = new Map(
    ordered.flatMap((draft, index) => ('source' in draft ? [[index, feedOf(draft.source)] as const] : [])),
  );
  return { graph: { vertices, groups: builder.groups, ends, feeds } };
}

/** What stands before many steps is looked up once: they share the feed. Ends: nothing comes after itself any more. */
function feeder({ placed }: Builder, placeOf: ReadonlyMap<Draft, number>) {
  const known = new Map<Source | string, Feed | undefined>();
  const feedOf = (source: Source | undefined): Feed | undefined => {
    if (!source) return undefined;
    if ('step' in source) return placeOf.get(source.step);
    const key = 'named' in source ? JSON.stringify(source.named) : source;
    if (known.has(key)) return known.get(key);
    const sources = 'named' in source ? source.named.map((id) => placed.get(id)?.source) : source.list;
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
