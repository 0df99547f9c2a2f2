import { Redis, type RedisOptions } from 'ioredis';
import { CephflowError } from '../base/errors.ts';
import { addressOf, keysOf, optionsOfPlace, type RedisPlace } from './redis-place.ts';

/**
 * Say who connects. `worker`: lives long, waits for Redis to come back and repeats what was under way (every script is
 * idempotent for that). `producer`: a command of a person; fails within seconds.
 */
export type RedisProfile = 'worker' | 'producer';

/** Longest wait for the first answer. A person is waiting for the prompt. */
const connectTimeoutMs = 3000;
/** Longest pause between two tries to connect again: a restarted Redis is found within this. */
const longestPauseMs = 1000;
/** Tries of a producer to connect again before it reports that Redis is gone: about a second. */
const producerTries = 4;
/**
 * A connection on which a command waits for so long is dead, though nobody has closed it: its server hangs or is cut off.
 * A new one may find another primary. Longer than BullMQ blocks (10 s) and a confirmation takes (5 s).
 */
const silenceMs = { worker: 15_000, producer: 5000 };
/** Oldest Redis with all commands used here (ZRANGE … REV, exclusive XRANGE, both 6.2). */
const oldestVersion = [6, 2] as const;

/**
 * Connect to Redis and check that it can be trusted with records.
 * @throws REDIS_UNREACHABLE within seconds, REDIS_UNSUITABLE (evicts keys, too old, Redis Cluster)
 */
export async function connectRedis(place: RedisPlace, profile: RedisProfile): Promise<Redis> {
  const state: { connected: boolean; last?: Error } = { connected: false };
  // Before the first success nothing is tried again: whoever starts wants to know.
  const pauseAfter = (tries: number) =>
    !state.connected || (profile === 'producer' && tries > producerTries)
      ? null
      : Math.min(tries * 100, longestPauseMs);
  const behind = optionsOfPlace(place);
  const options: RedisOptions = {
    connectTimeout: connectTimeoutMs,
    maxRetriesPerRequest: profile === 'worker' ? null : 1,
    enableAutoPipelining: true,
    // what workers ask is batched already, and must not wait for the end of the turn
    autoPipeliningIgnoredCommands: ['cephflowsteps'],
    lazyConnect: true,
    socketTimeout: silenceMs[profile],
    retryStrategy: pauseAfter,
    sentinelRetryStrategy: pauseAfter,
    reconnectOnError: (error) => isDemoted(error) && (behind ? reconnectAndRepeat : true),
    ...behind,
  };
  const redis = new Connection(typeof place === 'string' ? place : undefined, options);
  // each sentinel that hangs costs as much as a server that does
  const limitMs = connectTimeoutMs * (1 + (behind?.sentinels?.length ?? 0));
  redis.on('error', (error: Error) => {
    state.last = error;
  });
  try {
    await withinLimit(redis.connect(), limitMs);
    await withinLimit(checkSuitable(redis), limitMs);
    state.connected = true;
    return redis;
  } catch (thrown) {
    redis.disconnect();
    if (thrown instanceof CephflowError) throw thrown;
    throw unreachable(redis, state.last ?? thrown);
  }
}

/**
 * Be a connection that forgets its silence when it is closed. ioredis 5.11 leaves that timer running: it would end the next
 * connection, which is well, and keep a process that is done from ending. Copies, also those that BullMQ makes, are alike.
 */
class Connection extends Redis {
  constructor(url: string | undefined, options: RedisOptions) {
    if (url === undefined) super(options);
    else super(url, options);
    this.on('close', () => {
      clearTimeout(Reflect.get(this, silenceTimer));
      Reflect.set(this, silenceTimer, undefined);
    });
  }

  override duplicate(override?: Partial<RedisOptions>): Redis {
    return new Connection(undefined, { ...this.options, ...override });
  }
}

/** Where ioredis keeps it. */
const silenceTimer = 'socketTimeoutTimer';

/** What ioredis takes for: connect anew and send the command again. It was refused, so nothing of it has happened. */
const reconnectAndRepeat = 2;

/** A primary that has become a replica refuses writes, and ends what blocks. Who is primary now, sentinels know. */
function isDemoted({ message }: Error): boolean {
  return /^(READONLY|UNBLOCKED)\b/.test(message);
}

/** Make another connection like this one, for something that blocks or must not wait behind others. */
export function duplicateRedis(redis: Redis, overrides: RedisOptions = {}): Redis {
  const copy = redis.duplicate({ lazyConnect: false, ...overrides });
  copy.on('error', () => {
    // Told by the command that fails; without a listener ioredis would print it.
  });
  return copy;
}

/** End a connection: politely while it answers, at once where it does not. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status !== 'ready') return redis.disconnect();
  await redis.quit().catch(() => redis.disconnect());
}

/**
 * Wait for an answer of Redis.
 * @throws REDIS_UNREACHABLE with the address where the connection is lost
 */
export async function askRedis<T>(redis: Redis, asked: Promise<T> | undefined): Promise<T> {
  if (!asked) throw new CephflowError('INTERNAL', 'a script of the store was called before it was loaded');
  try {
    return await asked;
  } catch (thrown) {
    if (isAboutConnection(thrown)) throw unreachable(redis, thrown);
    throw thrown;
  }
}

async function withinLimit<T>(asked: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const late = () => reject(new Error(`no answer within ${limitMs / 1000} s`));
    timer = setTimeout(late, limitMs);
  });
  try {
    return await Promise.race([asked, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function checkSuitable(redis: Redis): Promise<void> {
  const info = await redis.info();
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version') ?? '0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const refuse = (what: string, hint: string) =>
    new CephflowError('REDIS_UNSUITABLE', `Redis at ${addressOf(redis)} ${what}`, { hint });
  if (major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1])) {
    throw refuse(
      `is version ${version}: too old`,
      `use Redis ${oldestVersion.join('.')} or newer, or Valkey`,
    );
  }
  if (field('cluster_enabled') === '1') {
    const hint = 'use one server, with replicas if you like';
    throw refuse('is a Redis Cluster: the timers of all runs must be on one primary', hint);
  }
  const policy = field('maxmemory_policy') ?? 'noeviction';
  if (policy === 'noeviction') return;
  const what = `may throw records away when memory is short (maxmemory-policy is ${policy})`;
  throw refuse(what, 'set maxmemory-policy to noeviction in its configuration');
}

const connectionWords =
  /Connection is closed|ECONN|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|max retries|writeable|flushed|LOADING|sentinels|Socket timeout/i;

function isAboutConnection(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return connectionWords.test(`${thrown.message} ${Reflect.get(thrown, 'code') ?? ''}`);
}

function unreachable(redis: Redis, cause: unknown): CephflowError {
  const said = cause instanceof Error ? cause.message : String(cause);
  // ioredis says so too where they answer and have never heard of the name
  const why = said.startsWith('All sentinels are unreachable')
    ? 'none of the sentinels gives its address'
    : said;
  return new CephflowError('REDIS_UNREACHABLE', `Redis at ${addressOf(redis)} does not answer: ${why}`, {
    hint: `is it running? check ${keysOf(redis)} in the config and try again`,
    cause,
  });
}
