import { CephflowError } from '../base/errors.ts';
import { findEmbeddedRedis } from '../engine/embedded.ts';
import { closeRedis, connectRedis } from '../engine/redis.ts';
import { storeFreeze } from '../engine/store-freeze.ts';
import { readInstanceId } from '../engine/store-instance.ts';
import type { InstanceFacts } from '../task/markers.ts';
import type { Manner, StoreMarkers, Wire } from './parts.ts';
import { describeRedis, redisPlaceOf } from './redis-place.ts';

/** Prefix of every key in Redis. */
export const storePrefix = 'cephflow';

/** Reach the markers of the store for a command of a person. */
export function createStoreMarkers(wire: Wire): StoreMarkers {
  const on = async <T>({ start }: Manner, use: (redis: Connection) => Promise<T>): Promise<T> => {
    // opening the store starts the embedded Redis, and closing it ends one that nobody else uses
    if (start) await wire.store();
    const redis = await connect(wire);
    try {
      return await use(redis);
    } finally {
      await closeRedis(redis);
    }
  };
  return {
    instanceId: (manner) => on(manner, (redis) => readInstanceId(redis, storePrefix)),
    withFreezes: (manner, use) => on(manner, (redis) => use(storeFreeze(redis, storePrefix))),
  };
}

type Connection = Awaited<ReturnType<typeof connectRedis>>;

async function connect({ config, stateDir }: Wire): Promise<Connection> {
  const { redis } = await config();
  if (redis) return connectRedis(redisPlaceOf(redis), 'producer');
  const running = await findEmbeddedRedis(stateDir);
  if (running) return connectRedis(running.socket, 'producer');
  throw new CephflowError('REDIS_UNREACHABLE', `the embedded Redis of ${stateDir} does not run`, {
    hint: 'it is started when there is a run',
  });
}

/** Say who we are, besides the id: what a record in a cluster tells people. A password of redis.url stays here. */
export async function describeSelf(wire: Wire): Promise<Omit<InstanceFacts, 'instance'>> {
  const { redis } = await wire.config();
  const { host, version, stateDir } = wire;
  if (!redis) return { host, version, redis: 'embedded', stateDir };
  if (redis.url === undefined) return { host, version, redis: describeRedis(redis) };
  const { protocol, host: place, pathname } = new URL(redis.url);
  return { host, version, redis: `${protocol}//${place}${pathname}` };
}
