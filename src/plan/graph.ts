import { CephflowError } from '../base/errors.ts';
import type { Canvas, ChainCanvas, ExpandCanvas, GroupCanvas, StepCanvas } from './canvas.ts';
import { type Feeds, feedsOf } from './feeds.ts';
import { freeId, type TakenIds } from './ids.ts';
import { orderVertices } from './order.ts';
import type { PlanGroup, PlanStep } from './plan.ts';
import { holdsPrevious } from './previous.ts';

/** Be what stands in a graph, whatever else it is: a vertex, or a step of a plan. */
export interface Placed {
  readonly id: string;
  /** Indices of the vertices before it, all smaller than its own, ascending. Members of a group share one array. */
  after: readonly number[];
  places: PlanStep['places'];
}

/** Be a vertex of a graph: a step, or a barrier that joins what stands before it with what stands behind. */
interface Vertex extends Placed {
  /** Absent for a barrier. */
  readonly step?: StepCanvas | ExpandCanvas;
}

/**
 * Be a canvas turned into vertices in topological order; `ends`: those that no other comes after; `feeds`: for the
 * vertices that take something of their predecessor, whose outputs they take.
 */
export interface Graph<V extends Placed = Vertex> {
  readonly vertices: readonly V[];
  readonly groups: readonly PlanGroup[];
  readonly ends: readonly number[];
  readonly feeds: Feeds;
}

/** What came of a canvas: a graph, or why there is none. `cycle`: ids in their order, the first again at the end. */
export type Built<V extends Placed = Vertex> =
  | { readonly graph: Graph<V> }
  | { readonly cycle: readonly string[] }
  | { readonly unknown: readonly { readonly id: string; readonly by: string }[] };

/** Make a vertex of a step, or of nothing for a barrier; where it stands is set afterwards. */
export type MakeVertex<V extends Placed> = (id: string, step: StepCanvas | ExpandCanvas | undefined) => V;

/** Nesting deeper than this is a mistake, and would cost the stack. */
const deepest = 500;

/** Turn a canvas into a graph. Edges grow with n + m where a group of n is followed by one of m. */
export function buildGraph(canvas: Canvas): Built {
  const make: MakeVertex<Vertex> = (id, step) => ({ id, ...(step ? { step } : {}), ...unplaced });
  return buildGraphOf(canvas, make, new Map());
}

/**
 * Turn a canvas into a graph of whatever `make` makes. A graph may have a hundred thousand vertices: each is one object
 * from the beginning, and nothing is kept for one that many can share.
 * @param taken ids of other parts of the same plan; those of this one are added
 */
export function buildGraphOf<V extends Placed>(
  canvas: Canvas,
  make: MakeVertex<V>,
  taken: TakenIds,
): Built<V> {
  const seen: Seen = { named: new Set(), passesOn: false };
  lookThrough(canvas, seen, 0);
  const drafts: V[] = [];
  const add = (id: string, step: StepCanvas | ExpandCanvas | undefined, spot: Spot): number => {
    const draft = make(id, step);
    draft.after = spot.incoming;
    draft.places = spot.places;
    return drafts.push(draft) - 1;
  };
  const { named, passesOn } = seen;
  const counts = { steps: 0, barriers: 0 };
  const own = { groups: [], ends: new Map(), waiting: [], counts };
  const builder: Builder = { drafts, add, named, taken, ...own, ...(passesOn ? { steps: [] } : {}) };
  place(builder, canvas, { incoming: nothing, places: nowhere });
  const unknown = builder.waiting.flatMap(({ draft, names }) =>
    names.filter((id) => !builder.ends.has(id)).map((id) => ({ id, by: drafts[draft]?.id ?? '' })),
  );
  if (unknown.length > 0) return { unknown };
  resolveWaiting(builder);
  return finish(canvas, drafts, builder);
}

const nothing: readonly number[] = [];
const nowhere: PlanStep['places'] = [];

/** Where a vertex stands before it is placed. */
export const unplaced: Pick<Placed, 'after' | 'places'> = { after: nothing, places: nowhere };

/** Numbers of vertices are indices into `drafts`. */
interface Builder {
  readonly drafts: readonly Placed[];
  readonly add: (id: string, step: StepCanvas | ExpandCanvas | undefined, spot: Spot) => number;
  readonly groups: { id: string; maxParallel: number; memberSizes: number[] }[];
  /** Last vertices of each canvas that an `after` names. */
  readonly ends: Map<string, readonly number[]>;
  /** Vertices whose `after` names others that may not be there yet. */
  readonly waiting: { readonly draft: number; readonly names: readonly string[] }[];
  /** All ids that an `after` names. */
  readonly named: ReadonlySet<string>;
  readonly taken: TakenIds;
  readonly counts: { steps: number; barriers: number };
  /** Each step of the canvas, in its order; absent where none takes anything of its predecessor. */
  readonly steps?: number[];
}

interface Spot {
  readonly incoming: readonly number[];
  readonly places: PlanStep['places'];
}

/** Hold what is to be known of a canvas before it is placed; `passesOn`: some step takes something of its predecessor. */
interface Seen {
  readonly named: Set<string>;
  passesOn: boolean;
}

function lookThrough(canvas: Canvas, seen: Seen, depth: number): void {
  if (depth > deepest) {
    throw new CephflowError('PLAYBOOK_INVALID', `steps are nested deeper than ${deepest} levels`);
  }
  if (canvas.after) for (const id of canvas.after) seen.named.add(id);
  if (canvas.canvas === 'step') seen.passesOn ||= holdsPrevious(canvas.with);
  if (canvas.canvas === 'chain') for (const item of canvas.items) lookThrough(item, seen, depth + 1);
  if (canvas.canvas === 'group') for (const item of canvas.members) lookThrough(item, seen, depth + 1);
}

/** Place a canvas behind `incoming`; returns its last vertices, or `incoming` where it holds no step at all. */
function place(builder: Builder, canvas: Canvas, spot: Spot): readonly number[] {
  const ends = placeKind(builder, canvas, spot);
  if (canvas.id !== undefined && builder.named.has(canvas.id)) builder.ends.set(canvas.id, ends);
  return ends;
}

function placeKind(builder: Builder, canvas: Canvas, spot: Spot): readonly number[] {
  if (canvas.canvas === 'step' || canvas.canvas === 'expand') {
    const wanted = canvas.canvas === 'step' ? (canvas.id ?? canvas.task) : canvas.id;
    builder.counts.steps += 1;
    const draft = builder.add(freeId(builder.taken, wanted), canvas, spot);
    builder.steps?.push(draft);
    if (canvas.after) builder.waiting.push({ draft, names: canvas.after });
    return [draft];
  }
  let { incoming } = spot;
  if (canvas.after) {
    const entry = addBarrier(builder, incoming);
    builder.waiting.push({ draft: entry, names: canvas.after });
    incoming = [entry];
  }
  const inner = { incoming, places: spot.places };
  return canvas.canvas === 'chain' ? placeChain(builder, canvas, inner) : placeGroup(builder, canvas, inner);
}

function placeChain(builder: Builder, chain: ChainCanvas, spot: Spot): readonly number[] {
  const { items } = chain;
  if (items.some(({ after }) => after)) return placeTiedChain(builder, chain, spot);
  let last = spot.incoming;
  for (const item of items) last = place(builder, item, { ...spot, incoming: last });
  return last;
}

/** Place a chain in which `after` ties some items to others than their neighbours. */
function placeTiedChain(builder: Builder, chain: ChainCanvas, spot: Spot): readonly number[] {
  const siblings = new Set(chain.items.flatMap(({ id }) => (id === undefined ? [] : [id])));
  const followed = new Set(chain.items.flatMap(({ after }) => after ?? []));
  const open: number[] = [];
  let last = spot.incoming;
  chain.items.forEach((item, index) => {
    const behind = item.after?.some((id) => siblings.has(id)) ? nothing : spot.incoming;
    last = place(builder, item, { ...spot, incoming: item.after ? behind : last });
    const next = chain.items[index + 1];
    const isFollowed =
      next !== undefined && (!next.after || (item.id !== undefined && followed.has(item.id)));
    if (next !== undefined && !isFollowed) open.push(...last);
  });
  const lastItem = chain.items.at(-1);
  const isLastFollowed = lastItem?.id !== undefined && followed.has(lastItem.id);
  return inOrder(isLastFollowed && open.length > 0 ? open : [...open, ...last]);
}

function placeGroup(builder: Builder, group: GroupCanvas, spot: Spot): readonly number[] {
  let { incoming } = spot;
  if (incoming.length > 1 && group.members.length > 1) incoming = [addBarrier(builder, incoming)];
  const ends: number[] = [];
  const shared = { ...spot, incoming };
  if (group.maxParallel === undefined) {
    for (const member of group.members) placeMember(builder, member, { spot: shared, ends });
  } else {
    const number = builder.groups.length;
    const id = group.id ?? `group-${number + 1}`;
    const limited = { id, maxParallel: group.maxParallel, memberSizes: [] as number[] };
    builder.groups.push(limited);
    for (const [index, member] of group.members.entries()) {
      const inner = { ...shared, places: [...spot.places, { group: number, member: index }] };
      limited.memberSizes.push(placeMember(builder, member, { spot: inner, ends }));
    }
  }
  return ends.length > 0 ? inOrder(ends) : incoming;
}

/** Place one member of a group, whose last vertices are added to `ends`. @returns how many steps it has */
function placeMember(
  builder: Builder,
  member: Canvas,
  { spot, ends }: { readonly spot: Spot; readonly ends: number[] },
): number {
  const before = builder.drafts.length;
  const { steps } = builder.counts;
  const last = place(builder, member, spot);
  // A member without steps ends where it begins: what follows waits for the others.
  if (builder.drafts.length > before) for (const draft of last) ends.push(draft);
  return builder.counts.steps - steps;
}

function addBarrier(builder: Builder, incoming: readonly number[]): number {
  builder.counts.barriers += 1;
  const id = freeId(builder.taken, `barrier-${builder.counts.barriers}`);
  return builder.add(id, undefined, { incoming, places: nowhere });
}

/** Give indices ascending and each once; the very same list where it is so already. */
function inOrder(indices: readonly number[]): readonly number[] {
  const isInOrder = indices.every((one, at) => at === 0 || one > (indices[at - 1] ?? -1));
  return isInOrder ? indices : [...new Set(indices)].sort((a, b) => a - b);
}

/** Give the vertices with `after` their edges; many that wait for the same many go through one barrier. */
function resolveWaiting(builder: Builder): void {
  const byTargets = new Map<string, number[]>();
  for (const { draft, names } of builder.waiting) {
    const key = JSON.stringify(names.toSorted());
    const drafts = byTargets.get(key);
    if (drafts) drafts.push(draft);
    else byTargets.set(key, [draft]);
  }
  for (const [key, drafts] of byTargets) {
    const names = JSON.parse(key) as string[];
    const targets = inOrder(names.flatMap((id) => builder.ends.get(id) ?? []));
    const before = targets.length > 1 && drafts.length > 1 ? [addBarrier(builder, targets)] : targets;
    for (const index of drafts) tie(builder.drafts[index], before);
  }
}

function tie(draft: Placed | undefined, before: readonly number[]): void {
  if (draft) draft.after = draft.after.length === 0 ? before : inOrder([...draft.after, ...before]);
}

function finish<V extends Placed>(
  canvas: Canvas,
  drafts: readonly V[],
  { groups, steps }: Pick<Builder, 'groups' | 'steps'>,
): Built<V> {
  const isOrdered = drafts.every(({ after }, index) => (after.at(-1) ?? -1) < index);
  const vertices = isOrdered ? drafts : reorder(drafts);
  if ('cycle' in vertices) return { cycle: vertices.cycle.map((index) => drafts[index]?.id ?? '') };
  const hasFollower = new Uint8Array(vertices.length);
  let previous = nothing;
  for (const { after } of vertices) {
    if (after !== previous) for (const index of after) hasFollower[index] = 1;
    previous = after;
  }
  const ends: number[] = [];
  for (let index = 0; index < hasFollower.length; index += 1) if (hasFollower[index] === 0) ends.push(index);
  const feeds = steps ? findFeeds(canvas, { drafts, vertices, steps }) : unfed;
  return { graph: { vertices, groups, ends, feeds } };
}

const unfed: Feeds = new Map();

function findFeeds(
  canvas: Canvas,
  {
    drafts,
    vertices,
    steps,
  }: Record<'drafts' | 'vertices', readonly Placed[]> & Required<Pick<Builder, 'steps'>>,
): Feeds {
  const places = new Map(vertices.map((vertex, index) => [vertex, index]));
  const indices = steps.map((draft) => {
    const vertex = drafts[draft];
    return (vertex && places.get(vertex)) ?? 0;
  });
  return feedsOf(canvas, (step) => indices[step] ?? 0);
}

/** Bring vertices into topological order; lists of edges that were one stay one. */
function reorder<V extends Placed>(
  drafts: readonly V[],
): readonly V[] | { readonly cycle: readonly number[] } {
  const result = orderVertices(drafts.map(({ after }) => after));
  if ('cycle' in result) return result;
  const placeOf = new Uint32Array(drafts.length);
  for (const [index, draft] of result.order.entries()) placeOf[draft] = index;
  const moved = new Map<readonly number[], readonly number[]>();
  for (const draft of drafts) {
    const known = moved.get(draft.after);
    const after = known ?? inOrder(draft.after.map((index) => placeOf[index] ?? 0));
    if (!known) moved.set(draft.after, after);
    draft.after = after;
  }
  return result.order.flatMap((index) => drafts[index] ?? []);
}
