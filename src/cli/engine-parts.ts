import { statSync } from 'node:fs';
import { join } from 'node:path';
import { CephflowError } from '../base/errors.ts';
import { type AgentOptions, agentStatus, ensureAgent, reviveAgent, stopAgent } from '../engine/agent.ts';
import { createControl } from '../engine/control.ts';
import { findEmbeddedRedis, startEmbeddedRedis, stopEmbeddedRedis } from '../engine/embedded.ts';
import { findProgram } from '../engine/processes.ts';
import { connectRedis } from '../engine/redis.ts';
import type { Store } from '../engine/store.ts';
import { openStore } from '../engine/store-open.ts';
import type { Check, Finding } from './finding.ts';
import type { EngineParts, Wire } from './parts.ts';

/** Prefix of every key in Redis. */
export const storePrefix = 'cephflow';

/** Put the engine's parts together for a command of a person. */
export function createEngineParts(wire: Wire): EngineParts {
  const { stateDir, searchPath } = wire;
  const agent: AgentOptions = { stateDir, ...wire.agent };
  const isEmbedded = async () => (await wire.config()).redis === undefined;
  let opened: Promise<Store> | undefined;
  const keepGoing = async (store: Store) => {
    if (!(await isEmbedded())) return;
    const unfinished = async () => (await store.unfinishedRuns()).length;
    if ((await unfinished()) > 0 && (await isOutdated(wire))) await stopAgent(stateDir);
    await reviveAgent({ ...agent, unfinished });
  };
  const open = async () => {
    const { redis } = await wire.config();
    const url = redis?.url ?? (await startEmbeddedRedis({ stateDir, searchPath })).socket;
    const store = await openStore(await connectRedis(url, 'producer'), { prefix: storePrefix });
    try {
      await keepGoing(store);
      return store;
    } catch (thrown) {
      await store.close();
      throw thrown;
    }
  };
  const parts: EngineParts = {
    store: () => {
      opened ??= open();
      return opened;
    },
    control: async () => createControl(await parts.store()),
    keepGoing: async () => keepGoing(await parts.store()),
    startAgent: async () => {
      if (await isEmbedded()) return ensureAgent(agent);
      throw new CephflowError('NOT_CONFIGURED', 'with redis.url in the config there is no agent', {
        hint: 'its work is done by: cephflow worker',
      });
    },
    agentState: async () => {
      const status = await agentStatus(stateDir);
      return { isRunning: status !== undefined, pid: status?.pid, unfinished: status?.unfinished, stateDir };
    },
    stopAgent: () => stopAgent(stateDir),
    examine: (check) => examineEngine(wire, check),
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

/** An agent keeps the config it was started with: after an edit it would go on with what was just mended. */
async function isOutdated({ stateDir, config }: Wire): Promise<boolean> {
  if (!(await agentStatus(stateDir))) return false;
  const startedMs = modifiedMs(join(stateDir, 'agent.pid'));
  return (await config()).files.some((file) => modifiedMs(file) > startedMs);
}

const modifiedMs = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

async function* examineEngine(wire: Wire, check: Check): AsyncGenerator<Finding> {
  const { redis } = await wire.config();
  if (redis) {
    yield check('redis', async () => {
      const store = await openStore(await connectRedis(redis.url, 'producer'), { prefix: storePrefix });
      const unfinished = await store.unfinishedRuns().finally(() => store.close());
      return `${new URL(redis.url).host} answers; ${unfinished.length} unfinished runs`;
    });
    return;
  }
  yield check('redis', () => examineEmbedded(wire));
  yield check('agent', async () => {
    const status = await agentStatus(wire.stateDir);
    return status ? `runs as process ${status.pid}` : 'does not run; it is started when there is a run';
  });
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
