import type { Redis } from 'ioredis';
import { isJsonObject, type Json } from '../base/json.ts';
import type { FreezeMarker, Marked } from '../task/markers.ts';
import { askRedis } from './redis.ts';

/** Stands for all clusters of a store. */
export const everyCluster = '*';

/**
 * Mark clusters as frozen in the store, beside the marker in the cluster itself: claims honour it without asking Ceph.
 * `cluster`: name in the config, or `everyCluster`. All of it throws REDIS_UNREACHABLE.
 */
export interface StoreFreeze {
  freeze(cluster: string, marker: FreezeMarker): Promise<void>;
  /** @returns whether there was a marker */
  unfreeze(cluster: string): Promise<boolean>;
  /** Markers by cluster. One that cannot be read freezes all the same. */
  frozen(): Promise<ReadonlyMap<string, Marked<FreezeMarker>>>;
}

/** Make the freezes of the store with this prefix: a hash `PREFIX:frozen`, field by cluster, JSON of the marker. */
export function storeFreeze(redis: Redis, prefix: string): StoreFreeze {
  const key = `${prefix}:frozen`;
  return {
    async freeze(cluster, marker) {
      await askRedis(redis, redis.hset(key, cluster, JSON.stringify(marker)));
    },
    unfreeze: async (cluster) => (await askRedis(redis, redis.hdel(key, cluster))) > 0,
    async frozen() {
      const entries = Object.entries(await askRedis(redis, redis.hgetall(key)));
      return new Map(entries.map(([cluster, written]) => [cluster, understand(written)]));
    },
  };
}

/** Seen of a marker that cannot be read. */
const sampleLength = 60;

function understand(written: string): Marked<FreezeMarker> {
  const unreadable = { unreadable: written.slice(0, sampleLength) };
  try {
    const value = JSON.parse(written) as Json;
    const isMarker =
      isJsonObject(value) && ['by', 'host', 'at', 'reason'].every((name) => typeof value[name] === 'string');
    return isMarker ? { value: value as unknown as FreezeMarker } : unreadable;
  } catch {
    // no JSON: it was written by nobody of ours, and freezes all the same
    return unreadable;
  }
}
