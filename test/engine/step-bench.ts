import { expect } from 'vitest';
import { carryOut } from '../../src/engine/deliver.ts';
import { createLeaseKeeper } from '../../src/engine/lease.ts';
import type { StepView } from '../../src/engine/store.ts';
import type { Systems } from '../../src/engine/systems.ts';
import { openCluster } from '../../src/engine/systems.ts';
import type { Workshop } from '../../src/engine/workshop.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { OsdMap } from '../../src/task/ceph.ts';
import type { Task } from '../../src/task/task.ts';
import { type FakeMarkers, fakeMarkers, ourInstance } from './fake-markers.ts';
import { planOf, type StepSketch } from './plans.ts';
import type { Rig } from './store-rig.ts';

/** A cluster that answers its fsid and nothing else: the tasks of these tests ask their own variables. */
interface FakeCluster {
  fsid: string;
  /** Thrown by every question to Ceph, while set. */
  trouble?: Error;
  /** How often the map was read. */
  reads: number;
  /** What is marked in it; at first, that it belongs to the bench's instance. */
  readonly markers: FakeMarkers;
}

/** A workshop on a real store, with tasks of the test. */
export interface Bench {
  readonly shop: Workshop;
  readonly cluster: FakeCluster;
  readonly lines: string[];
  /** Start a run of these steps and give its id. */
  start(steps: readonly StepSketch[], more?: Partial<Plan>): Promise<string>;
  /** Carry out what the step's present delivery asks for. */
  deliver(run: string, step?: number, signal?: AbortSignal): Promise<void>;
  /** Let the step's timer come due, and carry that out. */
  again(run: string, step?: number): Promise<void>;
  view(run: string, step?: number): Promise<StepView>;
}

/** Hash of every task of these tests. */
const taskHash = 'a1b2c3d4e5f60718';

/** Open a bench. Tasks are known by their names; `more` changes the workshop. */
export function openBench(rig: Rig, tasks: readonly Task[], more: Partial<Workshop> = {}): Bench {
  const { store } = rig;
  const cluster: FakeCluster = { fsid: 'f51d', reads: 0, markers: fakeMarkers() };
  const open = openCluster(fakeSystems(cluster), new AbortController().signal, Date.now);
  const lines: string[] = [];
  const stopping = new AbortController();
  const leases = createLeaseKeeper({ store, leaseMs: more.leaseMs ?? 60_000, stopping: stopping.signal });
  const shop: Workshop = {
    store,
    tasks: new Map(tasks.map((task) => [task.name, { task, file: `${task.name}.ts`, hash: taskHash }])),
    runFacts: async (run) => ({ plan: await store.planHead(run), by: 'root' }),
    cluster: async () => open,
    dispatch: () => undefined,
    isDraining: () => false,
    name: 'worker-1',
    leases,
    takesUsual: true,
    instance: ourInstance,
    leaseMs: 60_000,
    random: () => 0.5,
    log: (line) => lines.push(line),
    ...more,
  };
  const deliver: Bench['deliver'] = async (run, step = 0, signal = new AbortController().signal) => {
    const keeper = createLeaseKeeper({ store: shop.store, leaseMs: shop.leaseMs, stopping: signal });
    try {
      await carryOut(
        { run, step, delivery: await rig.delivery(run, step) },
        { ...shop, leases: keeper },
        signal,
      );
    } finally {
      keeper.close();
    }
  };
  return {
    shop,
    cluster,
    lines,
    start: (steps, about = {}) => {
      const pinned = Object.fromEntries(tasks.map(({ name }) => [name, taskHash]));
      const known = steps.map((step) => ({ risk: riskOf(tasks, step), ...step }));
      return store.createRun(planOf(known, { tasks: pinned, ...about }), { by: 'root' });
    },
    deliver,
    again: async (run, step = 0) => {
      await rig.fire(run, step);
      await deliver(run, step);
    },
    view: async (run, step = 0) => {
      const { views } = await store.snapshot(run);
      const view = views.find((one) => one.step === step);
      expect(view, `step ${step} has not been touched`).toBeDefined();
      return view as StepView;
    },
  };
}

const riskOf = (tasks: readonly Task[], { task }: StepSketch) =>
  tasks.find(({ name }) => name === task)?.risk ?? 'changes';

function fakeSystems(cluster: FakeCluster): Systems {
  const ceph = {
    osdMap: async () => {
      cluster.reads += 1;
      if (cluster.trouble) throw cluster.trouble;
      return { fsid: cluster.fsid } as OsdMap;
    },
  };
  const all = { ceph, machine: () => ({}), monitoring: {}, people: {}, markers: cluster.markers };
  const close = async () => undefined;
  return { read: () => all, act: () => all, markers: () => cluster.markers, close } as unknown as Systems;
}
