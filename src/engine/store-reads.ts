import { setTimeout as sleep } from 'node:timers/promises';
import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { RunEvent } from '../run/events.ts';
import { type StepState, stepStateOf } from '../run/states.ts';
import type { RunHead, RunSnapshot, StoreReads } from './store.ts';
import { type StoreContext, unknownRun } from './store-context.ts';
import { readAudit, readEvent, readHead, readHolds, readViews, type StreamEntry } from './store-views.ts';

/** Runs that a list shows unless more are asked for. */
const listLimit = 100;
/** Events given at once. */
const eventLimit = 1000;
/** How often a follower looks for new events: quick for the eye, little for Redis. */
const followPollMs = 150;
/** Greater than every letter of an id. */
const afterAll = '~';

/** Make the calls of everybody who reads. */
export function storeReads(context: StoreContext): StoreReads {
  const { redis, keys, ask } = context;
  return {
    plan: async (run) => (await context.plan(run)).plan,
    snapshot: (run) => snapshot(context, run),
    listRuns: (filter) => listRuns(context, filter),
    findRun: (prefix) => findRun(context, prefix),
    unfinishedRuns: async () => (await ask(redis.smembers(keys.unfinished))).sort(),
    outputs: (run, steps) => readOutputs(context, run, steps),
    events: (run, after, options) => readEvents(context, run, { after, ...options }),
    audit: async (run) => (await ask(redis.xrange(keys.ofRun(run, 'audit'), '-', '+'))).map(readAudit),
  };
}

const snapshotHashes = ['meta', 'wait', 'out', 'err', 'lease', 'mem', 'holds'] as const;

async function snapshot({ redis, keys, ask }: StoreContext, run: string): Promise<RunSnapshot> {
  const key = (name: string) => keys.ofRun(run, name);
  const reads = redis.multi();
  for (const name of snapshotHashes) reads.hgetall(key(name));
  reads.get(key('st')).getBuffer(key('times')).time().xrevrange(key('ev'), '+', '-', 'COUNT', 1);
  const answers = ((await ask(reads.exec())) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  const [meta, wait, out, err, lease, mem, holds] = answers as Record<string, string>[];
  const [bytes, times, time, last] = answers.slice(snapshotHashes.length);
  if (meta?.['state'] === undefined) throw unknownRun(run);
  const states = readStates((bytes as string | null) ?? '');
  const [seconds = 0, micros = 0] = (time as string[]).map(Number);
  const texts = { wait: wait ?? {}, out: out ?? {}, err: err ?? {}, lease: lease ?? {}, mem: mem ?? {} };
  return {
    ...readHead(run, meta, states),
    nowMs: seconds * 1000 + Math.floor(micros / 1000),
    states,
    views: readViews(states, texts, (times as Buffer | null) ?? Buffer.alloc(0)),
    holds: readHolds(holds ?? {}),
    lastSeq: (last as StreamEntry[])[0]?.[0] ?? '0',
  };
}

async function listRuns(
  { redis, keys, ask }: StoreContext,
  filter: { readonly unfinished?: boolean; readonly limit?: number } = {},
): Promise<readonly RunHead[]> {
  const limit = filter.limit ?? listLimit;
  const ids = filter.unfinished
    ? (await ask(redis.smembers(keys.unfinished))).sort().reverse().slice(0, limit)
    : await ask(redis.zrange(keys.runs, 0, limit - 1, 'REV'));
  const heads = ids.map(async (run) => {
    const meta = await ask(redis.hgetall(keys.ofRun(run, 'meta')));
    const bytes = await ask(redis.get(keys.ofRun(run, 'st')));
    return meta['state'] === undefined ? [] : [readHead(run, meta, readStates(bytes ?? ''))];
  });
  return (await Promise.all(heads)).flat();
}

async function findRun({ redis, keys, ask }: StoreContext, prefix: string): Promise<string> {
  if (prefix === '@latest') {
    const [latest] = await ask(redis.zrange(keys.runs, 0, 0, 'REV'));
    if (latest === undefined) throw new CephflowError('RUN_UNKNOWN', 'there is no run yet');
    return latest;
  }
  const wanted = prefix.toLowerCase();
  const range = [`[${wanted}`, `[${wanted}${afterAll}`] as const;
  const [run, second] = await ask(redis.zrangebylex(keys.runs, ...range, 'LIMIT', 0, 2));
  if (run === undefined) throw unknownRun(prefix);
  if (second === undefined || run === wanted) return run;
  throw new CephflowError('RUN_UNKNOWN', `more than one run begins with ${prefix}: ${run}, ${second}, …`, {
    hint: 'give more letters of its id',
  });
}

async function readOutputs(
  { redis, keys, ask }: StoreContext,
  run: string,
  steps: readonly number[],
): Promise<ReadonlyMap<number, Json>> {
  if (steps.length === 0) return new Map();
  const texts = await ask(redis.hmget(keys.ofRun(run, 'out'), ...steps.map(String)));
  const found = steps.map((step, at) => [step, texts[at]] as const);
  return new Map(found.flatMap(([step, text]) => (text ? [[step, JSON.parse(text) as Json] as const] : [])));
}

interface EventOptions {
  readonly after: string;
  readonly limit?: number;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

async function readEvents(
  { redis, keys, ask }: StoreContext,
  run: string,
  { after, limit = eventLimit, waitMs = 0, signal }: EventOptions,
): Promise<readonly RunEvent[]> {
  for (let waited = 0; ; waited += followPollMs) {
    const found = await ask(redis.xrange(keys.ofRun(run, 'ev'), `(${after}`, '+', 'COUNT', limit));
    if (found.length > 0 || waited >= waitMs || signal?.aborted) return found.map(readEvent);
    await sleep(followPollMs, undefined, signal && { signal }).catch(() => undefined);
  }
}

const readStates = (bytes: string): StepState[] => [...bytes].map((byte) => stepStateOf(byte) ?? 'unknown');
