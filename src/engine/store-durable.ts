import type { StoreContext } from './store-context.ts';

/** How long a disk or a replica may take to confirm. */
const confirmMs = 5000;

/**
 * Make sure that everything written before on this connection survives a power cut and a failover.
 * `appendfsync always` has it on disk before it answers. Else WAITAOF (Redis 7.2), else one replica by WAIT.
 * @see https://redis.io/docs/latest/commands/waitaof/
 */
export async function confirmDurable({ redis, ask }: StoreContext): Promise<boolean> {
  const info = await ask(redis.info());
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
  const hasLog = field('aof_enabled') === '1';
  const replicas = Number(field('connected_slaves'));
  if (hasLog && replicas === 0 && (await syncsAlways(redis))) return true;
  const [major = 0, minor = 0] = field('redis_version').split('.').map(Number);
  if (hasLog && (major > 7 || (major === 7 && minor >= 2))) {
    const wanted = replicas > 0 ? 1 : 0;
    const [local, remote] = (await ask(redis.call('WAITAOF', 1, wanted, confirmMs))) as [number, number];
    return local >= 1 && remote >= wanted;
  }
  return replicas > 0 && (await ask(redis.wait(1, confirmMs))) >= 1;
}

async function syncsAlways(redis: StoreContext['redis']): Promise<boolean> {
  // A hosted Redis may forbid CONFIG: then it is not known, and the other ways are tried.
  const answer = await redis.config('GET', 'appendfsync').catch(() => []);
  return (answer as string[])[1] === 'always';
}
