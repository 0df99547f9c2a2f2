import { CephflowError } from '../base/errors.ts';
import { agentStatus, ensureAgent, stopAgent } from '../engine/agent.ts';
import { type Control, createControl } from '../engine/control.ts';
import { findEmbeddedRedis, isUnreachable, openOnEmbedded, stopEmbeddedRedis } from '../engine/embedded.ts';
import { findProgram } from '../engine/processes.ts';
import { connectRedis } from '../engine/redis.ts';
import type { RedisPlace } from '../engine/redis-place.ts';
import type { Actor, Store } from '../engine/store.ts';
import type { StoreOptions } from '../engine/store-context.ts';
import { openStore } from '../engine/store-open.ts';
import type { WorkerFacts } from '../engine/store-workers.ts';
import { tasksOf } from '../plan/plan-steps.ts';
import { createKeeper } from './agent-keeper.ts';
import type { Config } from './config.ts';
import { examineStore } from './examine-store.ts';
import type { Check, Finding } from './finding.ts';
import type { EngineParts, Wire } from './parts.ts';
import { describeRedis, redisPlaceOf } from './redis-place.ts';
import { createStoreMarkers, storePrefix } from './store-markers.ts';

/** Say how the store of a config is opened. */
export function storeOptions({ engine: { retention } }: Pick<Config, 'engine'>): StoreOptions {
  const { succeeded, other } = retention;
  return { prefix: storePrefix, retention: { succeededMs: succeeded, otherMs: other } };
}

/**
 * Put the engine's parts together for a command of a person.
 * @param warn tells a person what the command could not bring about by itself
 */
export function createEngineParts(wire: Wire, warn: (text: string) => void): EngineParts {
  const { stateDir, searchPath } = wire;
  const isEmbedded = async () => (await wire.config()).redis === undefined;
  const keeper = createKeeper(wire, warn);
  let opened: Promise<Store> | undefined;
  const keepGoing = async (store: Store) => {
    if (await isEmbedded()) await keeper.keepGoing(store);
  };
  const open = async () => {
    const config = await wire.config();
    const { redis } = config;
    if (redis) return connectStore(redisPlaceOf(redis), config);
    return openOnEmbedded({ stateDir, searchPath }, async (socket) => {
      const store = await connectStore(socket, config);
      try {
        await keeper.keepGoing(store);
        return store;
      } catch (thrown) {
        await store.close();
        throw thrown;
      }
    });
  };
  const parts: EngineParts = {
    store: () => {
      opened ??= open();
      return opened;
    },
    control: async () => {
      const store = await parts.store();
      const control = createControl(store, { tasks: async () => tasksOf(await wire.library()) });
      const startRun: Control['startRun'] = async (plan, actor) => {
        if (await isEmbedded()) await keeper.makeReady(store, [plan.cluster]);
        return control.startRun(plan, actor);
      };
      return { ...control, startRun };
    },
    keepGoing: async () => {
      const store = await parts.store();
      try {
        await keepGoing(store);
      } catch (thrown) {
        if (!isUnreachable(thrown) || !(await isEmbedded())) throw thrown;
        // its server was ended while we connected: what was written is kept, and somebody must work on it
        opened = undefined;
        await store.close();
        await parts.store();
      }
    },
    startAgent: async () => {
      if (!(await isEmbedded()))
        throw new CephflowError('NOT_CONFIGURED', 'with redis.url in the config there is no agent', {
          hint: 'its work is done by: cephflow worker',
        });
      if (await agentStatus(stateDir))
        await keeper.makeReady(await parts.store(), Object.keys((await wire.config()).clusters));
      return ensureAgent({ stateDir, ...wire.agent });
    },
    agentState: async () => {
      const status = await agentStatus(stateDir);
      const isRunning = status !== undefined;
      return { isRunning, pid: status?.pid, unfinished: status?.unfinished, stateDir, ...status?.serves };
    },
    stopAgent: () => stopAgent(stateDir),
    ...createStoreMarkers(wire),
    examine: (check, repairBy) => examineAll(wire, { check, repairBy, store: parts.store }),
    close: async () => {
      // one that could not be opened was told to whoever asked for it
      await (await opened?.catch(() => undefined))?.close();
      // what a command started only to read is not left behind; the agent's and others' Redis has other clients
      if (opened && (await isEmbedded()) && !(await agentStatus(stateDir))) {
        await stopEmbeddedRedis(stateDir, { unlessUsed: true });
      }
    },
  };
  return parts;
}

async function connectStore(place: RedisPlace, config: Config): Promise<Store> {
  return openStore(await connectRedis(place, 'producer'), storeOptions(config));
}

interface Examination {
  readonly check: Check;
  readonly repairBy: Actor | undefined;
  store(): Promise<Store>;
}

/** Only who repairs starts what does not run, and has the agent go on with what is mended. */
async function* examineAll(wire: Wire, { check, repairBy, store }: Examination): AsyncGenerator<Finding> {
  yield* examineEngine(wire, check);
  if (repairBy) yield* examineStore(await store(), { check, self: wire.self, repairBy });
  else yield* examineRecords(wire, check);
}

/** Look at the records without starting anything: not where Redis does not run, or does not answer, which was told. */
async function* examineRecords(wire: Wire, check: Check): AsyncGenerator<Finding> {
  const { stateDir, self } = wire;
  const config = await wire.config();
  const { redis } = config;
  const place = redis ? redisPlaceOf(redis) : (await findEmbeddedRedis(stateDir))?.socket;
  const store = place === undefined ? undefined : await connectStore(place, config).catch(() => undefined);
  if (!store) return;
  try {
    yield* examineStore(store, { check, self });
  } finally {
    await store.close();
  }
}

async function* examineEngine(wire: Wire, check: Check): AsyncGenerator<Finding> {
  const config = await wire.config();
  const { redis } = config;
  if (redis) {
    yield check('redis', async () => {
      const store = await connectStore(redisPlaceOf(redis), config);
      const unfinished = await store.unfinishedRuns().finally(() => store.close());
      return `${describeRedis(redis)} answers; ${unfinished.length} unfinished runs`;
    });
    yield check('workers', async () => {
      const store = await connectStore(redisPlaceOf(redis), config);
      return describeWorkers(await store.workers().finally(() => store.close()));
    });
    return;
  }
  yield check('redis', () => examineEmbedded(wire));
  yield check('agent', async () => {
    const status = await agentStatus(wire.stateDir);
    if (!status) return 'does not run; it is started when there is a run';
    const { files = [], clusters = [] } = status.serves ?? {};
    return [`runs as process ${status.pid}`, ...files, ...clusters].join(', ');
  });
}

/** Say which workers there are and what they take; without any, runs stand still. */
function describeWorkers(workers: readonly WorkerFacts[]): string {
  if (workers.length === 0)
    return 'there is none: runs stand still until one is started with cephflow worker';
  const each = workers.map(
    ({ name, clusters, queues, concurrency, version }) =>
      `${name} (${version}): ${clusters.join(', ')}; queues ${queues.join(', ')}; ${concurrency} at once`,
  );
  return each.join(' | ');
}

async function examineEmbedded({ stateDir, searchPath }: Wire): Promise<string> {
  const running = await findEmbeddedRedis(stateDir);
  if (running) return `the private one runs as process ${running.pid}; records in ${stateDir}`;
  const program =
    (await findProgram('redis-server', searchPath)) ?? (await findProgram('valkey-server', searchPath));
  if (program) return `${program} is started when there is a run; records in ${stateDir}`;
  throw new CephflowError('PROGRAM_MISSING', 'there is no redis-server or valkey-server on PATH', {
    hint: 'type: apt install redis-server (or dnf install valkey); or name a running one as redis.url in the config',
  });
}
