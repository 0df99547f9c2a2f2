import { setTimeout as sleep } from 'node:timers/promises';
import { carryOut } from './deliver.ts';
import { createDispatcher } from './dispatcher.ts';
import { startLeader } from './leader.ts';
import type { TaskLibrary } from './load-tasks.ts';
import { openQueue, startConsumer } from './queue.ts';
import type { Delivery, Store } from './store.ts';
import { type OpenCluster, openCluster, type SystemsFor } from './systems.ts';
import { understandThrown } from './thrown.ts';
import { watchConsumer } from './watchdog.ts';
import type { RunFacts, Workshop } from './workshop.ts';

/** Say how a worker works. */
export interface WorkerOptions {
  /** A connection of the worker profile; the worker makes its own ones like it. */
  readonly redis: Parameters<typeof startConsumer>[0];
  /** Opened with the same prefix. */
  readonly store: Store;
  /** Of all keys. */
  readonly prefix: string;
  /** Names of the clusters that this worker reaches, as the config has them. */
  readonly clusters: readonly string[];
  readonly systemsFor: SystemsFor;
  readonly tasks: TaskLibrary;
  /** Steps at once, for each cluster. Waits take no slot. */
  readonly concurrency: number;
  /** A step whose worker says nothing for so long is given to another. */
  readonly leaseMs: number;
  /** A leader that says nothing for so long is replaced; absent: some seconds. */
  readonly leadMs?: number;
  /** How often waits are asked about, where a step does not say; absent: as their tasks say. */
  readonly pollMs?: number;
  /** Unique among all workers, and for people: host and pid. */
  readonly name: string;
  log(line: string): void;
}

/** Carry out steps until stopped. */
export interface Worker {
  /**
   * Take nothing new; give what is under way `graceMs` to end, then abort it. What is aborted is left so that another
   * worker goes on.
   */
  stop(graceMs: number): Promise<void>;
}

/** What was aborted gets so long to record it; longer, and its lease runs out instead. */
const abortLimitMs = 15_000;
/** Leadership and queues are given back within this; a Redis that does not answer would keep us for ever. */
const closeLimitMs = 5000;

/** Start a worker, which also takes part in leading. */
export function startWorker(options: WorkerOptions): Worker {
  const { redis, store, prefix, clusters, name, log } = options;
  const onError = (thrown: unknown) => {
    const error = understandThrown(thrown);
    log(`${error.code}: ${error.message}`);
  };
  const dispatcher = createDispatcher({
    store,
    openQueue: (cluster) => openQueue(redis, { prefix, cluster }),
    onError,
  });
  const aborting = new AbortController();
  const underWay = new Set<Promise<void>>();
  const state = { isDraining: false };
  const opened = openClusters(options.systemsFor, aborting.signal);
  const shop: Workshop = {
    store,
    tasks: options.tasks,
    runFacts: rememberRuns(store),
    cluster: opened.get,
    dispatch: (run) => dispatcher.poke(run),
    isDraining: () => state.isDraining,
    name,
    leaseMs: options.leaseMs,
    ...(options.pollMs !== undefined && { pollMs: options.pollMs }),
    random: Math.random,
    log,
  };
  const handle = (delivery: Delivery) => {
    const work = carryOut(delivery, shop, aborting.signal)
      .catch(onError)
      .finally(() => underWay.delete(work));
    underWay.add(work);
    return work;
  };
  const { concurrency, leaseMs, leadMs } = options;
  const consumers = clusters.map((cluster) => {
    const watched = {
      prefix,
      cluster,
      concurrency,
      lockMs: leaseMs,
      silenceMs: leaseMs,
      handle,
      onError,
      log,
    };
    return watchConsumer(watched, (plain) => startConsumer(redis, plain));
  });
  const leader = startLeader({
    id: name,
    store,
    dispatcher,
    ...(leadMs !== undefined && { leadMs }),
    onError,
  });
  return {
    stop: async (graceMs) => {
      state.isDraining = true;
      // not awaited here: while Redis is down they hang, and what is under way must end by the clock all the same
      const closing = [leader.stop(), ...consumers.map((consumer) => consumer.close())];
      await endsWithin(graceMs, underWay);
      aborting.abort();
      await endsWithin(abortLimitMs, underWay);
      await endsWithin(closeLimitMs, closing, onError);
      await endsWithin(closeLimitMs, [dispatcher.close()], onError);
      await opened.close();
    },
  };
}

async function endsWithin(
  limitMs: number,
  work: Iterable<Promise<void>>,
  onError: (thrown: unknown) => void = () => undefined,
): Promise<void> {
  const over = new AbortController();
  const limit = sleep(limitMs, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([Promise.all([...work].map((one) => one.catch(onError))), limit]);
  over.abort();
}

/** More runs than one worker is busy with at once; each entry holds a plan. */
const runsKept = 64;

/** Keep plans and owners of runs: both never change. */
function rememberRuns(store: Store): Workshop['runFacts'] {
  const known = new Map<string, Promise<RunFacts>>();
  return (run) => {
    const found = known.get(run) ?? readRun(store, run);
    known.set(run, found);
    found.catch(() => known.delete(run));
    const oldest = known.keys().next().value;
    if (known.size > runsKept && oldest !== undefined) known.delete(oldest);
    return found;
  };
}

async function readRun(store: Store, run: string): Promise<RunFacts> {
  const [plan, { by }] = await Promise.all([store.plan(run), store.snapshot(run)]);
  return { plan, by };
}

/** Open each cluster once; one that cannot be opened is tried again by the next step. */
function openClusters(systemsFor: SystemsFor, signal: AbortSignal) {
  const opened = new Map<string, Promise<OpenCluster>>();
  const open = async (name: string) => openCluster(await systemsFor(name), signal, Date.now);
  return {
    get: (name: string): Promise<OpenCluster> => {
      const found = opened.get(name) ?? open(name);
      opened.set(name, found);
      found.catch(() => opened.delete(name));
      return found;
    },
    close: async () => {
      const all = await Promise.allSettled(opened.values());
      await Promise.all(all.map((one) => one.status === 'fulfilled' && one.value.systems.close()));
    },
  };
}
