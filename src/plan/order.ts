/** What comes of ordering: indices in topological order, or a cycle, its first index again at the end. */
export type Ordered = { readonly order: readonly number[] } | { readonly cycle: readonly number[] };

/**
 * Order vertices so that each stands behind all it comes after, else in the order given.
 * @param before for each vertex the indices it comes after
 */
export function orderVertices(before: readonly (readonly number[])[]): Ordered {
  const state: Mark[] = before.map(() => 'new');
  const order: number[] = [];
  for (const start of before.keys()) {
    const cycle = visit(start, before, { state, order });
    if (cycle) return { cycle };
  }
  return { order };
}

type Mark = 'new' | 'open' | 'closed';

interface Visits {
  readonly state: Mark[];
  readonly order: number[];
}

/** Go down from one vertex without recursion: a chain may be tens of thousands long. */
function visit(start: number, before: readonly (readonly number[])[], { state, order }: Visits) {
  if (state[start] !== 'new') return undefined;
  const path = [{ vertex: start, next: 0 }];
  state[start] = 'open';
  // Ends: every turn follows an edge not followed before, or closes a vertex.
  for (let top = path.at(-1); top; top = path.at(-1)) {
    const dependency = before[top.vertex]?.[top.next];
    top.next += 1;
    if (dependency === undefined) {
      state[top.vertex] = 'closed';
      order.push(top.vertex);
      path.pop();
    } else if (state[dependency] === 'open') {
      const vertices = path.map(({ vertex }) => vertex);
      return [...vertices.slice(vertices.indexOf(dependency)), dependency];
    } else if (state[dependency] === 'new') {
      state[dependency] = 'open';
      path.push({ vertex: dependency, next: 0 });
    }
  }
  return undefined;
}
