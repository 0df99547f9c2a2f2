import { type Canvas, chain, chord, group, step } from '../../../src/plan/canvas.ts';
import { compileCanvas } from '../../../src/plan/compile.ts';
import type { Plan } from '../../../src/plan/plan.ts';
import type { OsdMap } from '../../../src/task/ceph.ts';
import type { World } from './world.ts';
import { worldTasks } from './world-tasks.ts';

/** Identity of the cluster of these tests. */
export const fsid = 'f51d';
/** Name of the cluster of these tests in the config. */
export const cluster = 'lab';

/** The graphs over which processes are killed; each takes a second or a few. */
const shapes = {
  chain: () => chain(...repeat(12, (i) => step(i % 3 === 0 ? 'world.noop' : 'world.set'))),
  diamond: () => chain(set(), group(sets(3)), group(sets(3)), group(sets(3)), set()),
  wide: () => chain(set(), group(sets(60)), set()),
  /** One step with so many after it that they are counted down in slices. */
  slices: () => chain(set(), group(repeat(1500, () => wait(0))), set()),
  nested: () =>
    chain(
      chord([chain(set(), group([chain(...sets(3)), chain(...sets(2))])), chain(...sets(4))], set()),
      set(),
    ),
  waits: () => chain(set(), group(repeat(6, (i) => wait(2 + (i % 3)))), set()),
  approvals: () => chain(set(), group([step('world.ask'), step('world.ask'), wait(3)]), set()),
  severe: () => chain(destroy(), group([stop(), destroy(), chain(stop(), destroy())]), set()),
  places: () =>
    chain(
      group(
        repeat(4, () => chain(set(), wait(2), set())),
        { maxParallel: 2 },
      ),
      set(),
    ),
  hold: () => chain(hold(), set(), wait(2), set()),
  expansion: () => chain(set(), list('find'), grow('each', 'find'), set()),
  /** Two steps append to one run at once: the numbers of one are no longer right. */
  expansions: () =>
    chain(
      group([chain(list('find'), grow('each', 'find')), chain(list('look'), grow('every', 'look'))]),
      set(),
    ),
  undo: () => chain(back(), group([back(), chain(back(), back()), stopped()]), back(), leave()),
  regrown: () => chain(list('find'), grow('each', 'find', back), back(), leave()),
  locks: () => chain(set(), group(repeat(4, locked)), set()),
  /** Another run beside the one above, with the same locks. */
  lockers: () => chain(group(repeat(3, () => chain(locked(), locked()))), set()),
  flaky: () =>
    chain(step('world.flaky', {}, { retry }), group([step('world.flaky', {}, { retry }), set()]), set()),
} satisfies Record<string, () => Canvas>;

/** Name one of them. */
export type ShapeName = keyof typeof shapes;

const retry = { attempts: 3, delayMs: 100 };
const repeat = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const set = (id?: string) => step('world.set', {}, id === undefined ? {} : { id });
const sets = (count: number) => repeat(count, () => set());
const wait = (polls: number) => step('world.wait', { polls }, { pollMs: 100 });
const stop = () => step('world.stop', { ms: 20 });
const destroy = () => step('world.destroy', { ms: 20 });
const list = (id: string) => step('world.list', {}, { id });
/** For each of the values of a list two steps, members beside one another. */
const grow = (id: string, from: string, of: (id: string) => Canvas = set): Canvas => ({
  canvas: 'expand',
  id,
  over: `steps.${from}.output.values`,
  variable: 'value',
  atMost: 5,
  maxParallel: 2,
  // two expansions of a run must not name their steps alike
  member: chain(of(`${id}-first`), of(`${id}-then`)),
  settings: {},
});
const back = (id?: string) => step('world.back', {}, id === undefined ? {} : { id });
const stopped = () => step('world.halt', { ms: 20 });
/** The operator of these tests takes a run back when it comes here. */
const leave = () => step('world.leave', {}, { pollMs: 100 });
const locked = () =>
  step('world.slow', { ms: 20, again_ms: 20 }, { locks: [{ name: 'node/one', capacity: 1 }] });
const hold = () => step('world.hold', { life: 600_000 });

/** Compile a graph against the cluster of these tests. */
export function planOfCanvas(name: string, main: Canvas, world: World, atEnd: Canvas = set()): Plan {
  const map = { fsid, epoch: 1, nodes: [], osds: [], pools: [] } as unknown as OsdMap;
  const health = { status: 'HEALTH_OK' as const, checks: [] };
  const context = { tasks: worldTasks(world), map, health, cluster, contacts: [] };
  return compileCanvas({ name, summary: 'A graph of a test', target: '', main, atEnd }, context);
}

/** Compile one of the shapes. */
export function planOfShape(name: ShapeName, world: World): Plan {
  return planOfCanvas(name, shapes[name](), world);
}
