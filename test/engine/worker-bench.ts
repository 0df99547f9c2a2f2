import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { createDispatcher, type Dispatcher } from '../../src/engine/dispatcher.ts';
import { openQueue } from '../../src/engine/queue.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import type { Systems } from '../../src/engine/systems.ts';
import { startWorker } from '../../src/engine/worker.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { OsdMap } from '../../src/task/ceph.ts';
import type { Task } from '../../src/task/task.ts';
import { fakeMarkers, ourInstance } from './fake-markers.ts';
import { planOf, type StepSketch } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';

/** Real workers on a store of their own, ended with the test. */
export interface WorkerBench {
  readonly server: PrivateRedis;
  readonly prefix: string;
  readonly store: Store;
  /** Make what brings a run that was just started to the workers at once. */
  dispatcher(): Dispatcher;
  /** Start a worker that knows these tasks. */
  work(tasks: readonly Task[], wish?: WorkerWish): Promise<void>;
}

/** Say how a worker differs from the usual one. */
interface WorkerWish {
  readonly name?: string;
  /** Of all its task files. */
  readonly hash?: string;
  readonly concurrency?: number;
  /** Put something around its store. */
  wrap?(store: Store): Store;
}

/** Hash of task files where a test does not say. */
export const usualHash = 'h1';

const systemsOf = (map: Pick<OsdMap, 'fsid'>) =>
  ({
    read: () => ({ ceph: { osdMap: async () => map }, markers: fakeMarkers() }),
    act: () => ({}),
    close: async () => undefined,
  }) as unknown as Systems;

/**
 * Have a redis-server for the tests of a file, and workers on a store of its own for each of them.
 * @param map what their cluster answers; without it, the fsid of the plans of tests
 */
export function benchForEachTest(map: Pick<OsdMap, 'fsid'> = { fsid: 'f51d' }): WorkerBench {
  const bench: { -readonly [K in keyof WorkerBench]?: WorkerBench[K] } = {};
  const ends: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    bench.server = await startRedis();
  });
  afterAll(() => bench.server?.stop());
  beforeEach(async () => {
    bench.prefix = `t${Math.random().toString(36).slice(2)}`;
    bench.store = await open();
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await bench.store?.close();
  });
  const connect = async () => connectRedis(bench.server?.socket ?? '', 'worker');
  const open = async () => openStore(await connect(), { prefix: bench.prefix ?? '' });
  bench.dispatcher = () => {
    const { store, server, prefix = '' } = bench;
    if (!store || !server) throw new Error('only in a test');
    const dispatcher = createDispatcher({
      store,
      openQueue: (cluster) => openQueue(server.redis, { prefix, cluster }),
      onError: (thrown) => {
        throw thrown;
      },
    });
    ends.push(() => dispatcher.close());
    return dispatcher;
  };
  bench.work = async (tasks, { name = 'one', hash = usualHash, concurrency = 4, wrap } = {}) => {
    const redis = await connect();
    const own = await openStore(redis, { prefix: bench.prefix ?? '' });
    const started = startWorker({
      ...{ redis, name, concurrency, prefix: bench.prefix ?? '', clusters: ['lab'], leaseMs: 20_000 },
      store: wrap?.(own) ?? own,
      systemsFor: async () => systemsOf(map),
      tasks: new Map(tasks.map((one) => [one.name, { task: one, file: one.name, hash }])),
      instance: ourInstance,
      log: () => undefined,
    });
    ends.push(async () => {
      await started.stop(0);
      await own.close();
    });
  };
  return bench as WorkerBench;
}

/** Make a plan of steps of these tasks. */
export const planFor = (steps: readonly StepSketch[], tasks: readonly Task[]): Plan =>
  planOf(steps, { tasks: Object.fromEntries(tasks.map(({ name }) => [name, usualHash])) });
