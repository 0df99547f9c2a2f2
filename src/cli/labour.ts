import { asCephflowError, CephflowError } from '../base/errors.ts';
import type { Hook } from '../engine/hooks.ts';
import { connectRedis } from '../engine/redis.ts';
import type { RedisPlace } from '../engine/redis-place.ts';
import { runAgent } from '../engine/run-agent.ts';
import type { Store } from '../engine/store.ts';
import { readInstanceId } from '../engine/store-instance.ts';
import { openStore } from '../engine/store-open.ts';
import { startWorker, type Worker } from '../engine/worker.ts';
import type { Config } from './config.ts';
import { storeOptions } from './engine-parts.ts';
import { releaseCluster } from './instances.ts';
import type { Io } from './io.ts';
import { formatMoment } from './lines.ts';
import type { Wire } from './parts.ts';
import { redisPlaceOf } from './redis-place.ts';
import { describeSelf, storePrefix } from './store-markers.ts';

/** A worker that is silent for so long has lost its steps: long enough for a pause of a busy machine. */
const usualLeaseMs = 30_000;
/** Steps at a time: most wait for Ceph or a node, and each may hold an ssh session. */
const usualConcurrency = 20;
/** What is under way when a worker is told to stop gets so long to end by itself. */
const graceMs = 30_000;
/** The agent ends itself after so long without a run: the next command that needs it starts it in a second. */
const agentIdleMs = 60_000;

interface Labour {
  readonly wire: Wire;
  readonly io: Io;
}

/** Say how a worker differs from the config. */
export interface WorkerWishes {
  readonly concurrency?: number;
  readonly name?: string;
  /** Names of the queues that it serves. */
  readonly queue?: readonly string[];
}

/**
 * Carry out steps of the Redis that redis.url names, until SIGTERM, SIGINT or SIGHUP; what is under way ends first.
 * @throws NOT_CONFIGURED without redis.url; REDIS_UNREACHABLE, REDIS_UNSUITABLE, TASK_INVALID
 */
export async function workUntilStopped({ wire, io }: Labour, wishes: WorkerWishes): Promise<void> {
  const { redis } = await wire.config();
  if (!redis) {
    throw new CephflowError(
      'NOT_CONFIGURED',
      'a worker needs a Redis that it shares: redis.url is not in the config',
      {
        hint: 'without redis.url the agent does its work; it is started by itself',
      },
    );
  }
  const log = logLine(io);
  const { worker, store, name } = await begin({ wire, io }, redisPlaceOf(redis), wishes);
  log(`worker ${name} works`);
  await stopAsked();
  log(`worker ${name} stops: it takes nothing new and finishes what it has begun`);
  await worker.stop(graceMs);
  await store.close();
}

/** Be the agent in the foreground: a worker on the embedded Redis, until idle or stopped. */
export async function beAgent({ wire, io }: Labour): Promise<void> {
  const stopping = new AbortController();
  const unheard = stopAsked().then(() => stopping.abort());
  const { stateDir, searchPath } = wire;
  await runAgent({
    stateDir,
    searchPath,
    idleMs: agentIdleMs,
    signal: stopping.signal,
    log: logLine(io),
    start: async ({ socket }) => {
      const { worker, store, letGo } = await begin({ wire, io }, socket, {});
      const { clusters, files } = await wire.config();
      return {
        serves: { clusters: Object.keys(clusters), files },
        unfinished: async () => (await store.unfinishedRuns()).length,
        stop: async (ms) => {
          await worker.stop(ms);
          if ((await store.unfinishedRuns()).length === 0) await letGo();
          await store.close();
        },
      };
    },
  });
  // the agent may end by being idle: then nobody waits for a signal any more
  void unheard;
}

interface Begun {
  readonly worker: Worker;
  readonly store: Store;
  readonly name: string;
  /** Take our name out of the clusters that we worked on. */
  letGo(): Promise<void>;
}

async function begin(
  { wire, io }: Labour,
  place: RedisPlace,
  { concurrency, name, queue }: WorkerWishes,
): Promise<Begun> {
  const config = await wire.config();
  const tasks = await wire.library();
  const redis = await connectRedis(place, 'worker');
  const store = await openStore(redis, storeOptions(config));
  const unique = name === undefined ? wire.process : `${name}@${wire.process}`;
  const instance = { instance: await readInstanceId(redis, storePrefix), ...(await describeSelf(wire)) };
  const { lease, poll } = config.engine;
  const reached = new Set<string>();
  const queues = queue ?? config.engine.queues;
  const worker = startWorker({
    redis,
    store,
    prefix: storePrefix,
    clusters: Object.keys(config.clusters),
    ...(queues === undefined ? {} : { queues: [...new Set(queues)] }),
    systemsFor: (cluster) => {
      reached.add(cluster);
      return wire.workerSystems(cluster, logLine(io));
    },
    tasks,
    concurrency: concurrency ?? config.engine.concurrency ?? usualConcurrency,
    leaseMs: lease ?? usualLeaseMs,
    ...(poll === undefined ? {} : { pollMs: poll }),
    hooks: config.hooks.map(hookOf),
    name: unique,
    instance,
    log: logLine(io),
  });
  const letGo = async () => {
    for (const cluster of reached)
      await releaseCluster(wire, cluster, instance.instance).catch((thrown: unknown) => {
        const { code, message } = asCephflowError(thrown);
        logLine(io)(`cluster ${cluster} was not released: ${code}: ${message}`);
      });
  };
  return { worker, store, name: unique, letGo };
}

function hookOf({ on, states, playbook, command = [], webhook, timeout }: Config['hooks'][number]): Hook {
  return {
    on,
    ...(states === undefined ? {} : { states }),
    ...(playbook === undefined ? {} : { playbook }),
    target: webhook === undefined ? { command } : { webhook },
    timeoutMs: timeout,
  };
}

/** Lines of a worker carry the time: they are read in a journal or a file. */
function logLine(io: Io): (line: string) => void {
  return (line) => io.warn(`${formatMoment(Date.now())}  ${line}`);
}

function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}
