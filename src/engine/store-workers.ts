import type { Redis } from 'ioredis';
import { askRedis } from './redis.ts';
import { storeKeys } from './store-scripts.ts';

/** Say what a worker does: which clusters it reaches, which queues it serves, how many steps at once for each. */
export interface WorkerFacts {
  readonly name: string;
  readonly clusters: readonly string[];
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly version: string;
}

/** A worker says so often that it is there ... */
const announceEveryMs = 5000;
/** ... and is believed for so long. */
const believedMs = 20_000;

/** Say that a worker is there, until closed. What cannot be said while Redis is away is said when it is back. */
export function announceWorker(redis: Redis, prefix: string, facts: WorkerFacts): { close(): Promise<void> } {
  const { workers } = storeKeys(prefix);
  const say = async () => {
    await redis
      .hset(workers, facts.name, JSON.stringify({ ...facts, seenMs: Date.now() }))
      .catch(() => undefined);
  };
  void say();
  const timer = setInterval(() => void say(), announceEveryMs);
  return {
    close: async () => {
      clearInterval(timer);
      await redis.hdel(workers, facts.name).catch(() => undefined);
    },
  };
}

/** List the workers that are there, by name; those that died without a word are forgotten. */
export async function listWorkers(redis: Redis, prefix: string): Promise<readonly WorkerFacts[]> {
  const { workers } = storeKeys(prefix);
  const found = await askRedis(redis, redis.hgetall(workers));
  const alive: WorkerFacts[] = [];
  for (const [name, text] of Object.entries(found)) {
    const { seenMs, ...facts } = JSON.parse(text) as WorkerFacts & { readonly seenMs: number };
    if (Date.now() - seenMs < believedMs) alive.push(facts);
    else await askRedis(redis, redis.hdel(workers, name));
  }
  return alive.sort((a, b) => (a.name < b.name ? -1 : 1));
}
