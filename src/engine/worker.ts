import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalShell } from '../remote/local.ts';
import type { InstanceFacts } from '../task/markers.ts';
import { createCrew } from './crew.ts';
import { carryOut } from './deliver.ts';
import { createDispatcher, type Dispatcher } from './dispatcher.ts';
import { type Hook, hookDuties } from './hooks.ts';
import { type Leader, startLeader } from './leader.ts';
import { createLeaseKeeper, type LeaseKeeper } from './lease.ts';
import type { TaskLibrary } from './load-tasks.ts';
import { type Consumer, openQueue, startConsumer } from './queue.ts';
import type { Delivery, Store } from './store.ts';
import { openHookCursors } from './store-hooks.ts';
import { watchKilledRuns } from './store-killed.ts';
import { announceWorker } from './store-workers.ts';
import { type OpenCluster, openCluster, type SystemsFor } from './systems.ts';
import { understandThrown } from './thrown.ts';
import { collectDuty, endOverdue } from './upkeep.ts';
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
  /** Names of the queues that it serves; absent: only the usual one, `default`. */
  readonly queues?: readonly string[];
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
  /** Whom to tell what happens, while this one leads: the same for all workers. */
  readonly hooks?: readonly Hook[];
  /** Unique among all workers, and for people: host and pid. */
  readonly name: string;
  /** Named in every cluster that it acts on. */
  readonly instance: InstanceFacts;
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

/** Name of the queue that steps go to whose playbook names none. */
const usualQueue = 'default';

/** What was aborted gets so long to record it; longer, and its lease runs out instead. */
const abortLimitMs = 15_000;
/** Leadership and queues are given back within this; a Redis that does not answer would keep us for ever. */
const closeLimitMs = 5000;

/** Start a worker, which also takes part in leading. */
export function startWorker(options: WorkerOptions): Worker {
  const { redis, store, prefix, clusters, name, log, concurrency, leaseMs, instance } = options;
  const onError = (thrown: unknown) => {
    const error = understandThrown(thrown);
    log(`${error.code}: ${error.message}`);
  };
  const dispatcher = dispatcherOf(options, onError);
  const aborting = new AbortController();
  const underWay = new Set<Promise<void>>();
  const state = { isDraining: false };
  const opened = openClusters(options.systemsFor, aborting.signal);
  const leases = createLeaseKeeper({ store, leaseMs, stopping: aborting.signal });
  const queues = options.queues ?? [usualQueue];
  const shop = openShop(options, { dispatcher, opened, leases, queues, isDraining: () => state.isDraining });
  const track = (work: Promise<void>) => {
    const tracked = work.catch(onError).finally(() => underWay.delete(tracked));
    underWay.add(tracked);
    return tracked;
  };
  const killed = watchKilledRuns(redis, prefix, (run) => leases.check(run));
  const consumers = clusters.flatMap((cluster) => queues.map((queue) => consume(cluster, queue)));
  const leader = lead(options, dispatcher, onError);
  const said = announceWorker(redis, prefix, {
    name,
    clusters,
    queues,
    concurrency,
    version: instance.version,
  });

  function consume(cluster: string, queue: string): Consumer {
    const named = queue === usualQueue ? {} : { queue };
    const timing = { lockMs: leaseMs, silenceMs: leaseMs };
    const crew = createCrew(concurrency, track);
    const handle = (delivery: Delivery) =>
      track(crew.busy(() => carryOut(delivery, shop, aborting.signal, crew)));
    const watched = { prefix, cluster, ...named, concurrency, ...timing, handle, onError, log };
    return watchConsumer(watched, (plain) => startConsumer(redis, plain));
  }

  return {
    stop: async (graceMs) => {
      state.isDraining = true;
      // not awaited here: while Redis is down they hang, and what is under way must end by the clock all the same
      const closing = [leader.stop(), ...consumers.map((consumer) => consumer.close())];
      await endsWithin(graceMs, underWay);
      aborting.abort();
      await endsWithin(abortLimitMs, underWay);
      await endsWithin(closeLimitMs, [...closing, said.close()], onError);
      await endsWithin(closeLimitMs, [dispatcher.close()], onError);
      leases.close();
      killed.close();
      await opened.close();
    },
  };
}

interface ShopParts {
  readonly dispatcher: Dispatcher;
  readonly opened: ReturnType<typeof openClusters>;
  readonly leases: LeaseKeeper;
  readonly queues: readonly string[];
  isDraining(): boolean;
}

function openShop(
  options: WorkerOptions,
  { dispatcher, opened, leases, queues, isDraining }: ShopParts,
): Workshop {
  const { store, tasks, name, instance, leaseMs, pollMs, log } = options;
  return {
    ...{ store, tasks, name, instance, leaseMs, leases, isDraining, log },
    runFacts: rememberRuns(store),
    cluster: opened.get,
    dispatch: (run) => dispatcher.pokeLater(run),
    takesUsual: queues.includes(usualQueue),
    ...(pollMs !== undefined && { pollMs }),
    random: Math.random,
  };
}

function dispatcherOf(
  { redis, store, prefix }: WorkerOptions,
  onError: (thrown: unknown) => void,
): Dispatcher {
  return createDispatcher({
    store,
    openQueue: (cluster, queue) =>
      openQueue(redis, { prefix, cluster, ...(queue !== undefined && { queue }) }),
    onError,
  });
}

/** Take part in leading, with all that only the leader does. */
function lead(options: WorkerOptions, dispatcher: Dispatcher, onError: (thrown: unknown) => void): Leader {
  const { redis, store, prefix, name, log, leadMs, hooks = [] } = options;
  const cursors = openHookCursors(redis, prefix);
  const duties = [
    ...hookDuties(hooks, { store, cursors, shell: createLocalShell(), log }),
    collectDuty(store, () => performance.now()),
  ];
  const onOverdue = (run: string) => endOverdue(store, run);
  const term = leadMs === undefined ? {} : { leadMs };
  return startLeader({ id: name, store, dispatcher, duties, onOverdue, ...term, onError });
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
  const [plan, { by }] = await Promise.all([store.planHead(run), store.brief(run)]);
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
