import type { StoreContext } from './store-context.ts';

/** How long a disk or a replica may take to confirm. */
const confirmMs = 5000;

/** A connection that breaks while it waits is asked anew so often. */
const confirmTries = 3;

/**
 * Make sure that everything written before on this connection survives a power cut and a failover.
 * `appendfsync always` has it on disk before it answers. Else WAITAOF (Redis 7.2), else one replica by WAIT.
 * @returns the run_id of the Redis that promised it; false where it cannot
 * @see https://redis.io/docs/latest/commands/waitaof/
 */
export async function confirmDurable(context: StoreContext): Promise<string | false> {
  const { redis, ask } = context;
  const info = await ask(redis.info());
  const hasLog = fieldOf(info, 'aof_enabled') === '1';
  const replicas = Number(fieldOf(info, 'connected_slaves'));
  if (hasLog && replicas === 0 && (await syncsAlways(redis))) return fieldOf(info, 'run_id');
  const [major = 0, minor = 0] = fieldOf(info, 'redis_version').split('.').map(Number);
  if (hasLog && (major > 7 || (major === 7 && minor >= 2))) {
    const wanted = replicas > 0 ? 1 : 0;
    const { answer, server } = await waitFor(context, ['WAITAOF', 1, wanted, confirmMs]);
    const [local = 0, remote = 0] = answer as number[];
    return local >= 1 && remote >= wanted && server;
  }
  if (replicas === 0) return false;
  const { answer, server } = await waitFor(context, ['WAIT', 1, confirmMs]);
  return Number(answer) >= 1 && server;
}

/**
 * Redis confirms what the asking connection has written: one that was just made has written nothing and is told yes
 * at once. So a write, the question and the name of the server go together; ioredis sends none of them on its own.
 */
async function waitFor(
  { redis, keys, ask }: StoreContext,
  [command, ...words]: readonly [string, ...number[]],
): Promise<{ readonly answer: unknown; readonly server: string }> {
  let failed: unknown;
  for (let left = confirmTries; left > 0; left -= 1) {
    const asked = redis.pipeline().set(`${keys.schema}:confirmed`, Date.now());
    const results =
      (await asked
        .call(command, ...words)
        .info('server')
        .exec()) ?? [];
    failed = results.find(([error]) => error)?.[0];
    const [, [, answer] = [], [, info] = []] = results;
    if (!failed) return { answer, server: fieldOf(String(info), 'run_id') };
  }
  return ask(Promise.reject(failed));
}

const fieldOf = (info: string, name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';

async function syncsAlways(redis: StoreContext['redis']): Promise<boolean> {
  // A hosted Redis may forbid CONFIG: then it is not known, and the other ways are tried.
  const answer = await redis.config('GET', 'appendfsync').catch(() => []);
  return (answer as string[])[1] === 'always';
}
