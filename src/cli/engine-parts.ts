import { CephflowError } from '../base/errors.ts';
import { findEmbeddedRedis, startEmbeddedRedis, stopEmbeddedRedis } from '../engine/embedded.ts';
import { connectRedis } from '../engine/redis.ts';
import type { Store, StoreControl } from '../engine/store.ts';
import { openStore } from '../engine/store-open.ts';
import type { Check, Finding } from './examine.ts';
import type { Wire } from './wire.ts';

/** Tell how the agent in the background is. JSON of `agent status`. */
export interface AgentState {
  readonly isRunning: boolean;
  readonly pid: number | undefined;
  readonly stateDir: string;
}

/** Hold the engine as the commands use it: the embedded one, or that of `redis.url`. */
export interface EngineParts {
  store(): Promise<Store>;
  control(): Promise<StoreControl>;
  keepGoing(): Promise<void>;
  startAgent(): Promise<{ readonly pid: number }>;
  agentState(): Promise<AgentState>;
  stopAgent(): Promise<{ readonly unfinished: number }>;
  runAgent(): Promise<void>;
  runWorker(concurrency: number | undefined): Promise<void>;
  examine(check: Check): AsyncGenerator<Finding>;
  close(): Promise<void>;
}

interface EngineOptions {
  readonly stateDir: string;
  /** Options that lead another cephflow to the same config. */
  readonly self: readonly string[];
  /** File that starts cephflow. */
  readonly entry: string;
}

export function createEngineParts(wire: Wire, options: EngineOptions): EngineParts {
  let store: Promise<Store> | undefined;
  const open = async () => {
    const { redis } = await wire.config();
    const url =
      redis?.url ??
      (await startEmbeddedRedis({ stateDir: options.stateDir, searchPath: wire.searchPath })).socket;
    return openStore(await connectRedis(url, 'producer'), { prefix: 'cephflow' });
  };
  const parts: EngineParts = {
    store: () => (store ??= open()),
    control: () => parts.store(),
    keepGoing: async () => undefined,
    startAgent: async () => ({ pid: 0 }),
    agentState: async () => ({ isRunning: false, pid: undefined, stateDir: options.stateDir }),
    stopAgent: async () => ({ unfinished: 0 }),
    runAgent: async () => undefined,
    runWorker: async () => undefined,
    async *examine(check) {
      yield check('redis', async () => 'x');
    },
    close: async () => {
      await (await store)?.close();
      await stopEmbeddedRedis(options.stateDir, { unlessUsed: true });
    },
  };
  return parts;
}
