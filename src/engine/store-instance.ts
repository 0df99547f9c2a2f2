import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { askRedis } from './redis.ts';

/** Long enough that two stores never share an id, short enough to be read aloud. */
const idBytes = 6;

/**
 * Give the id of the store with this prefix: random, made once by whoever asks first, and gone only with the store.
 * All workers on it are one instance; a copy of its Redis would be the same one.
 * @throws REDIS_UNREACHABLE
 */
export async function readInstanceId(redis: Redis, prefix: string): Promise<string> {
  const key = `${prefix}:instance`;
  const made = randomBytes(idBytes).toString('hex');
  await askRedis(redis, redis.setnx(key, made));
  return (await askRedis(redis, redis.get(key))) ?? made;
}
