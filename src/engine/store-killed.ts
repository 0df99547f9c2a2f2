import type { Redis } from 'ioredis';
import { duplicateRedis } from './redis.ts';
import { storeKeys } from './store-scripts.ts';

/**
 * Be told at once of runs that are killed, so that what is under way ends within moments. A word that is lost is no
 * harm: the next renewal of a lease finds out.
 */
export function watchKilledRuns(
  redis: Redis,
  prefix: string,
  onKilled: (run: string) => void,
): { close(): void } {
  const channel = storeKeys(prefix).killed;
  const connection = duplicateRedis(redis, { enableAutoPipelining: false });
  connection.on('message', (_, run) => onKilled(run));
  // it is asked again by ioredis when the connection comes back
  connection.subscribe(channel).catch(() => undefined);
  return { close: () => connection.disconnect() };
}
