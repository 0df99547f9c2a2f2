import type { Redis } from 'ioredis';
import { encodeTime } from 'ulid';
import { askRedis } from './redis.ts';
import { storeKeys } from './store-scripts.ts';

/** Remember how far each hook has told of each run. A position is the id of an event: all up to it have been told. */
export interface HookCursors {
  /**
   * Give where a hook stands in every run that it has not finished with; runs started since the last call stand at '0'.
   * A hook that was never asked about begins a minute ago: what happened before is not told.
   */
  open(hook: string): Promise<ReadonlyMap<string, string>>;
  save(hook: string, positions: ReadonlyMap<string, string>): Promise<void>;
  /** The run is over and all of it told; what is kept of it goes with one of the next calls of `open`. */
  finish(hook: string, run: string): Promise<void>;
}

/** Ids of runs carry the clock of whoever started them: clocks differ, and a start takes its time. */
const clockMarginMs = 600_000;
/** What belongs to hooks that no config has any more is kept so long, for a worker that still has one. */
const otherHooksKeptMs = 7 * 86_400_000;
/** The run for which an agent is started has begun when its hooks are looked at for the first time. */
const lookBackMs = 60_000;
/** Field of the moment up to which a hook has looked for new runs. */
const scanned = '@scanned';
/** Stands instead of a position: over and told. */
const finished = 'done';

/** Open the cursors of hooks in a store with this prefix. */
export function openHookCursors(redis: Redis, prefix: string): HookCursors {
  const keys: Keys = { cursors: `${prefix}:hook-cursors`, ...storeKeys(prefix) };
  const ask: Ask = (asked) => askRedis(redis, asked);
  return {
    open: (hook) => open(hook, { redis, keys, ask }),
    save: async (hook, positions) => {
      if (positions.size === 0) return;
      const fields = [...positions].flatMap(([run, seq]) => [fieldOf(hook, run), seq]);
      await ask(redis.hset(keys.cursors, ...fields));
    },
    finish: async (hook, run) => {
      await ask(redis.hset(keys.cursors, fieldOf(hook, run), finished));
    },
  };
}

type Ask = <T>(asked: Promise<T>) => Promise<T>;

interface Keys {
  readonly cursors: string;
  readonly runs: string;
  readonly unfinished: string;
}

interface Asked {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly ask: Ask;
}

const fieldOf = (hook: string, run: string) => `${hook}|${run}`;

async function open(hook: string, asked: Asked): Promise<ReadonlyMap<string, string>> {
  const { redis, keys, ask } = asked;
  const [seconds = 0, micros = 0] = (await ask(redis.time())).map(Number);
  const nowMs = seconds * 1000 + Math.floor(micros / 1000);
  const all = await ask(redis.hgetall(keys.cursors));
  const own = ofHook(all, hook);
  const sinceMs = Number(own.get(scanned) ?? nowMs);
  const started = await runsSince(sinceMs - clockMarginMs, asked);
  // only the first of two leaders that begin at once sets the beginning; what the other tells besides does no harm
  const isFirst =
    !own.has(scanned) && (await ask(redis.hsetnx(keys.cursors, fieldOf(hook, scanned), String(nowMs)))) === 1;
  own.delete(scanned);
  const fresh = started.filter((run) => !own.has(run));
  const beginning = isFirst ? `${nowMs - lookBackMs}-0` : '0';
  // in one command: a run that is not remembered would be forgotten when its start is long ago
  const news = fresh.flatMap((run) => [fieldOf(hook, run), beginning]);
  await ask(redis.hset(keys.cursors, fieldOf(hook, scanned), String(nowMs), ...news));
  await free(hook, own, new Set(started), { ...asked, all, nowMs });
  const open = [...own, ...fresh.map((run) => [run, beginning] as const)];
  return new Map(open.filter(([, seq]) => seq !== finished));
}

function ofHook(all: Readonly<Record<string, string>>, hook: string): Map<string, string> {
  const entries = Object.entries(all).filter(([field]) => field.startsWith(`${hook}|`));
  return new Map(entries.map(([field, seq]) => [field.slice(hook.length + 1), seq]));
}

async function runsSince(sinceMs: number, { redis, keys, ask }: Asked): Promise<readonly string[]> {
  const from = encodeTime(Math.max(0, sinceMs)).toLowerCase();
  const [late, unfinished] = await Promise.all([
    ask(redis.zrangebylex(keys.runs, `[${from}`, '+')),
    ask(redis.smembers(keys.unfinished)),
  ]);
  return [...new Set([...late, ...unfinished])];
}

/** Forget runs that are told and would not be taken for new ones any more, and hooks that are long gone. */
async function free(
  hook: string,
  own: ReadonlyMap<string, string>,
  recent: ReadonlySet<string>,
  { redis, keys, ask, all, nowMs }: Asked & { all: Readonly<Record<string, string>>; nowMs: number },
): Promise<void> {
  const told = [...own].filter(([run, seq]) => seq === finished && !recent.has(run));
  const gone = Object.entries(all)
    .filter(([field, text]) => field.endsWith(`|${scanned}`) && Number(text) < nowMs - otherHooksKeptMs)
    .map(([field]) => field.slice(0, -scanned.length))
    .filter((other) => other !== `${hook}|`);
  const left = Object.keys(all).filter((field) => gone.some((other) => field.startsWith(other)));
  const fields = [...told.map(([run]) => fieldOf(hook, run)), ...left];
  if (fields.length > 0) await ask(redis.hdel(keys.cursors, ...fields));
}
