import type { StoreContext } from './store-context.ts';

/** Ask Redis for its time, in milliseconds since the epoch: the one clock that all workers share. */
export async function redisTime({ redis, ask }: Pick<StoreContext, 'redis' | 'ask'>): Promise<number> {
  const [seconds = 0, micros = 0] = (await ask(redis.time())).map(Number);
  return seconds * 1000 + Math.floor(micros / 1000);
}
