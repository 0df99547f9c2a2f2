import { didYouMean } from '../base/nearest.ts';
import { type Canvas, chain, group, step } from './canvas.ts';
import { expansionsAround, isExpansion } from './expansion.ts';
import { buildGraph, type Graph } from './graph.ts';
import { allItems, type Item } from './playbook.ts';
import { type Problem, problemAt } from './problems.ts';
import type { WrittenText } from './written.ts';

/** Find for each item the steps that always come before it; wrong or circular `after` are problems. */
export function ancestorsOf(
  items: readonly Item[],
  others: readonly Item[],
  { problems, isDraft }: { readonly problems: Problem[]; readonly isDraft: boolean },
): ReadonlyMap<string, ReadonlySet<string>> {
  const all = allItems(items);
  const elsewhere = new Set(allItems(others).map(({ id }) => id));
  const ids = all.map(({ id }) => id);
  const expansions = expansionsAround(items);
  const faults = all.flatMap(({ id, after = [] }) =>
    after.flatMap((name) => {
      const message = judgeAfter(name, ids, elsewhere) ?? judgeMember(id, name.text, expansions);
      return message === undefined ? [] : [problemAt(name.place, message)];
    }),
  );
  if (!isDraft) problems.push(...faults);
  if (faults.length > 0) return new Map(ids.map((id) => [id, new Set(ids)]));
  const built = buildGraph(chain(...items.map(templateOf)));
  if ('graph' in built) return collectAncestors(built.graph);
  const cycle = 'cycle' in built ? built.cycle.filter((id) => ids.includes(id)) : [];
  const first = all.find(({ id }) => cycle.includes(id)) ?? all[0];
  if (first) problems.push(problemAt(first.place, `these steps wait for one another: ${cycle.join(', ')}`));
  return new Map(ids.map((id) => [id, new Set(ids)]));
}

function judgeAfter(
  { text }: WrittenText,
  ids: readonly string[],
  elsewhere: ReadonlySet<string>,
): string | undefined {
  if (ids.includes(text)) return undefined;
  if (elsewhere.has(text)) {
    return `${text} stands in another part: steps and finally are tied only among themselves`;
  }
  return `there is no step "${text}": expected an id of this playbook.${didYouMean(text, ids)}`;
}

/** Members of an expansion are appended one by one: only what belongs to the same member can be named. */
function judgeMember(
  user: string,
  name: string,
  expansions: ReadonlyMap<string, string>,
): string | undefined {
  if (expansions.get(user) === expansions.get(name)) return undefined;
  if (expansions.has(user)) return `${name} stands outside of the expansion: expected a step in it`;
  return `${name} is done once for each member of an expansion: expected a step outside of it`;
}

/** Draw the graph of a playbook with one member for each for-each and one vertex for each included playbook. */
function templateOf(item: Item): Canvas {
  const after = item.after ? { after: item.after.map(({ text }) => text) } : {};
  if (item.kind === 'step' || item.kind === 'playbook') return step(item.id, {}, { id: item.id, ...after });
  const inner = item.steps.map(templateOf);
  if (item.kind === 'chain') return { ...chain(...inner), id: item.id, ...after };
  // the vertex that tells the members comes before them
  if (isExpansion(item)) {
    return { ...chain(step(item.id, {}, { id: item.id }), ...inner), id: item.id, ...after };
  }
  return group(item.forEach ? [chain(...inner)] : inner, { id: item.id, ...after });
}

function collectAncestors(graph: Graph): ReadonlyMap<string, ReadonlySet<string>> {
  const sets: Set<string>[] = [];
  for (const { after } of graph.vertices) {
    const own = new Set<string>();
    for (const index of after) {
      for (const id of sets[index] ?? []) own.add(id);
      const vertex = graph.vertices[index];
      if (vertex?.step) own.add(vertex.id);
    }
    sets.push(own);
  }
  return new Map(graph.vertices.map(({ id }, index) => [id, sets[index] ?? new Set()]));
}
