import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Canvas, chain, group, step } from '../../src/plan/canvas.ts';
import { compileCanvas } from '../../src/plan/compile.ts';
import { buildGraph, type Graph } from '../../src/plan/graph.ts';
import { ancestorGraphs } from './ancestors.ts';
import { smallContext } from './support.ts';

const noop = () => step('noop.do');
const noops = (count: number) => Array.from({ length: count }, noop);

function graphOf(canvas: Canvas): Graph {
  const built = buildGraph(canvas);
  if ('graph' in built) return built.graph;
  throw new Error(JSON.stringify(built));
}

const edgeCount = (graph: Graph) => graph.vertices.reduce((sum, { after }) => sum + after.length, 0);
const stepCount = (graph: Graph) => graph.vertices.filter((vertex) => vertex.step).length;

/** Length of the longest way, counted in steps. */
function depthOf(graph: Graph): number {
  const depths: number[] = [];
  for (const { after, step: own } of graph.vertices) {
    depths.push(Math.max(0, ...after.map((index) => depths[index] ?? 0)) + (own ? 1 : 0));
  }
  return Math.max(0, ...depths);
}

describe("canvas: the ancestors' graphs", () => {
  const { of57, of23 } = ancestorGraphs(noop);

  /** For each step the numbers of the steps before it, barriers looked through; steps counted from 1. */
  const predecessors = (graph: Graph) => {
    const numbers = new Map<number, number>();
    const through = (index: number): readonly number[] => {
      const number = numbers.get(index);
      return number === undefined ? (graph.vertices[index]?.after ?? []).flatMap(through) : [number];
    };
    return graph.vertices.flatMap((vertex, index) => {
      if (!vertex.step) return [];
      numbers.set(index, numbers.size + 1);
      return [vertex.after.flatMap(through).join(' ')];
    });
  };

  test('57 tasks: a chain of five chords of ten', () => {
    const graph = graphOf(of57);
    expect(stepCount(graph)).toBe(57);
    expect(graph.vertices).toHaveLength(57);
    expect(edgeCount(graph)).toBe(5 * 20 + 1);
    expect(depthOf(graph)).toBe(12);
    expect(graph.ends).toEqual([56]);
    const chord = (first: number) => [
      ...Array.from({ length: 10 }, () => String(first)),
      Array.from({ length: 10 }, (_, index) => first + 1 + index).join(' '),
    ];
    expect(predecessors(graph)).toEqual(['', ...[1, 12, 23, 34, 45].flatMap(chord), '56']);
  });

  test('23 tasks: groups in groups beside a chain, then a body', () => {
    const graph = graphOf(of23);
    expect(stepCount(graph)).toBe(23);
    expect(depthOf(graph)).toBe(5 + 1 + 1 + 1 + 1);
    expect(predecessors(graph)).toEqual([
      ...['', '', '', '', ''],
      ...['', '6', '7', '8', '9'],
      '1 2 3 4 5 10',
      ...['11', '11', '11', '11', '11'],
      '12 13 14 15 16',
      ...['', '18', '19', '20', '21'],
      '17 22',
    ]);
  });
});

describe('canvas: groups', () => {
  test('a group followed by a group has n + m edges through one barrier', () => {
    const graph = graphOf(chain(group(noops(300)), group(noops(200))));
    expect(graph.vertices).toHaveLength(501);
    expect(edgeCount(graph)).toBe(500);
    expect(graph.vertices.filter((vertex) => !vertex.step).map(({ id }) => id)).toEqual(['barrier-1']);
  });

  test('many steps after the same many share one barrier', () => {
    const first = Array.from({ length: 30 }, (_, index) => step('noop.do', {}, { id: `a${index}` }));
    const after = first.flatMap(({ id }) => id ?? []);
    const second = Array.from({ length: 20 }, () => step('noop.do', {}, { after }));
    expect(edgeCount(graphOf(group([...first, ...second])))).toBe(50);
  });

  test('an empty group passes on what it waits for', () => {
    const graph = graphOf(
      chain(step('noop.do', {}, { id: 'a' }), group([]), step('noop.do', {}, { id: 'b' })),
    );
    expect(graph.vertices.map(({ id, after }) => ({ id, after }))).toEqual([
      { id: 'a', after: [] },
      { id: 'b', after: [0] },
    ]);
  });

  test('max-parallel gives each member a place, counted in steps', () => {
    const member = () => chain(noop(), group(noops(2)), group(noops(2)));
    const graph = graphOf(group([member(), noop()], { id: 'g', maxParallel: 1 }));
    expect(graph.groups).toEqual([{ id: 'g', maxParallel: 1, memberSizes: [5, 1] }]);
    const places = graph.vertices.filter((vertex) => vertex.step).map((vertex) => vertex.places);
    expect(places).toEqual([
      ...Array.from({ length: 5 }, () => [{ group: 0, member: 0 }]),
      [{ group: 0, member: 1 }],
    ]);
  });

  test('groups in members of limited groups need both places', () => {
    const inner = group([noop()], { id: 'inner', maxParallel: 2 });
    const graph = graphOf(group([inner], { id: 'outer', maxParallel: 1 }));
    expect(graph.groups.map(({ id }) => id)).toEqual(['outer', 'inner']);
    expect(graph.vertices[0]?.places).toEqual([
      { group: 0, member: 0 },
      { group: 1, member: 0 },
    ]);
  });
});

describe('canvas: after', () => {
  const named = (id: string, ...after: string[]) =>
    step('noop.do', {}, after.length > 0 ? { id, after } : { id });
  const edges = (canvas: Canvas) =>
    Object.fromEntries(
      graphOf(canvas).vertices.map(({ id, after }, _, all) => [id, after.map((index) => all[index]?.id)]),
    );

  test('ties a step to named steps instead of its neighbour', () => {
    expect(edges(chain(named('a'), named('b'), named('c', 'a'), named('d', 'b', 'c')))).toEqual({
      a: [],
      b: ['a'],
      c: ['a'],
      d: ['b', 'c'],
    });
  });

  test('may name what stands further down', () => {
    expect(edges(group([chain(named('a', 'c'), named('b')), named('c')]))).toEqual({
      c: [],
      a: ['c'],
      b: ['a'],
    });
  });

  test('may name a group: all of its members', () => {
    const canvas = chain(group([named('a'), named('b')], { id: 'g' }), named('c'), named('d', 'g'));
    expect(edges(canvas)['d']).toEqual(['a', 'b']);
  });

  test('leaves no end of a chain behind', () => {
    const graph = graphOf(chain(chain(named('a'), named('b'), named('c', 'a')), named('e')));
    const last = graph.vertices.find(({ id }) => id === 'e');
    expect(last?.after.map((index) => graph.vertices[index]?.id)).toEqual(['b', 'c']);
  });

  test('says which steps wait for one another', () => {
    expect(buildGraph(group([named('a', 'b'), named('b', 'a')]))).toEqual({ cycle: ['a', 'b', 'a'] });
    expect(buildGraph(group([named('a', 'x')]))).toEqual({ unknown: [{ id: 'x', by: 'a' }] });
  });
});

/** Name the leaves of a canvas and list which must come before which: what chain and group mean. */
interface Meaning {
  readonly canvas: Canvas;
  readonly leaves: readonly string[];
  readonly order: readonly (readonly [string, string])[];
}

interface Shape {
  readonly kind: string;
  readonly parts: readonly Shape[];
}

const shapes = fc.letrec<{ shape: Shape }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constant<Shape>({ kind: 'step', parts: [] }),
    fc.record({ kind: fc.constantFrom('chain', 'group'), parts: fc.array(tie('shape'), { maxLength: 4 }) }),
  ),
})).shape;

function meaningOf(shape: Shape, path: string): Meaning {
  if (shape.kind === 'step') {
    return { canvas: step('noop.do', {}, { id: path }), leaves: [path], order: [] };
  }
  const parts = shape.parts.map((part, index) => meaningOf(part, `${path}.${index}`));
  const across =
    shape.kind === 'group'
      ? []
      : parts.flatMap((one, index) =>
          parts
            .slice(index + 1)
            .flatMap((next) => one.leaves.flatMap((a) => next.leaves.map((b): [string, string] => [a, b]))),
        );
  const canvases = parts.map(({ canvas }) => canvas);
  return {
    canvas: shape.kind === 'group' ? group(canvases) : chain(...canvases),
    leaves: parts.flatMap(({ leaves }) => leaves),
    order: [...parts.flatMap(({ order }) => order), ...across],
  };
}

test('canvas: any nesting gives exactly the order that chain and group mean', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const { canvas, leaves, order } = meaningOf(shape, 's');
      const graph = graphOf(canvas);
      const before: Set<string>[] = [];
      graph.vertices.forEach(({ after }, index) => {
        expect(after.every((one) => one < index)).toBe(true);
        before.push(new Set(after.flatMap((one) => [...(before[one] ?? []), graph.vertices[one]?.id ?? ''])));
      });
      const found = graph.vertices.flatMap(({ id, step: own }, index) =>
        own
          ? [...(before[index] ?? [])].filter((one) => one.startsWith('s')).map((one) => `${one}<${id}`)
          : [],
      );
      expect(
        graph.vertices
          .filter((vertex) => vertex.step)
          .map(({ id }) => id)
          .toSorted(),
      ).toEqual(leaves.toSorted());
      expect(found.toSorted()).toEqual(order.map(([a, b]) => `${a}<${b}`).toSorted());
    }),
  );
});

describe('canvas: plans', () => {
  test('a chain of 20,000 and a group of 20,000 are no trouble', () => {
    const context = smallContext();
    const long = compileCanvas(
      { name: 'long', summary: 's', target: '', main: chain(...noops(20_000)) },
      context,
    );
    expect(long.steps.at(-1)?.after).toEqual([19_998]);
    const wide = compileCanvas(
      { name: 'wide', summary: 's', target: '', main: group(noops(20_000)) },
      context,
    );
    expect(new Set(wide.steps.map(({ id }) => id)).size).toBe(20_000);
  });

  test('what has no order or no task is refused', () => {
    const make = (main: Canvas) => () =>
      compileCanvas({ name: 'it', summary: 's', target: '', main }, smallContext());
    const a = step('noop.do', {}, { id: 'a', after: ['b'] });
    expect(make(group([a, step('noop.do', {}, { id: 'b', after: ['a'] })]))).toThrow(
      'it has no order: these steps wait for one another: a → b → a',
    );
    expect(make(a)).toThrow('it has no order: a comes after "b", which does not exist');
    expect(make(step('no.such'))).toThrow('there is no task no.such');
  });
});
