import { setTimeout as sleep } from 'node:timers/promises';
import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { RunEvent } from '../run/events.ts';
import { type RunState, type StepState, stepStateOf, stepStates } from '../run/states.ts';
import type { StepRef } from './leases.ts';
import type { RunBrief, RunHead, RunSnapshot, StoreReads } from './store.ts';
import { type StoreContext, unknownRun } from './store-context.ts';
import { examine } from './store-doctor.ts';
import { listLocks } from './store-locks.ts';
import { readAudit, readEvent, readHead, readHolds, readViews, type StreamEntry } from './store-views.ts';
import { listWorkers } from './store-workers.ts';

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
    plan: async (run) => {
      // it may have grown since it was last looked at
      context.forgetView(run);
      return (await context.view(run)).whole();
    },
    step: async (run, index) => (await context.view(run, index + 1)).step(index),
    planHead: async (run) => (await context.view(run)).head,
    snapshot: (run) => snapshot(context, run),
    brief: (run) => readBrief(context, run),
    holdOf: (step) => readHold(context, step),
    underWay: (run, below) => readUnderWay(context, run, below),
    followers: async (run) => {
      context.forgetView(run);
      const { shape, appendedBy } = await context.view(run);
      return (step) => [
        ...shape.after.subarray(shape.afterStart[step], shape.afterStart[step + 1]),
        ...appendedBy(step),
      ];
    },
    remembered: (run, step) => readMemory(context, run, `${step}:r`),
    observed: (run, step) => readMemory(context, run, `${step}:o`),
    workers: () => listWorkers(redis, context.prefix),
    locks: () => listLocks(context),
    listRuns: (filter) => listRuns(context, filter),
    findRun: (prefix) => findRun(context, prefix),
    unfinishedRuns: async () => (await ask(redis.smembers(keys.unfinished))).sort(),
    outputs: (run, steps) => readOutputs(context, run, steps),
    events: (run, after, options) => readEvents(context, run, { after, ...options }),
    examine: (run) => examine(context, run),
    audit: async (run) => (await ask(redis.xrange(keys.ofRun(run, 'audit'), '-', '+'))).map(readAudit),
  };
}

const snapshotHashes = ['meta', 'out', 'mem', 'holds'] as const;

async function snapshot({ redis, keys, ask }: StoreContext, run: string): Promise<RunSnapshot> {
  const key = (name: string) => keys.ofRun(run, name);
  const reads = redis.multi();
  for (const name of snapshotHashes) reads.hgetall(key(name));
  reads.get(key('st')).getBuffer(key('times')).getBuffer(key('did'));
  reads.time().xrevrange(key('ev'), '+', '-', 'COUNT', 1);
  const answers = ((await ask(reads.exec())) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  const [meta, out, mem, holds] = answers as Record<string, string>[];
  const [bytes, times, did, time, last] = answers.slice(snapshotHashes.length);
  if (meta?.['state'] === undefined) throw unknownRun(run);
  const states = readStates((bytes as string | null) ?? '');
  const [seconds = 0, micros = 0] = (time as string[]).map(Number);
  const texts = { out: out ?? {}, mem: mem ?? {} };
  const packed = { times: (times as Buffer | null) ?? noBytes, did: (did as Buffer | null) ?? noBytes };
  return {
    ...readHead(run, meta, states),
    nowMs: seconds * 1000 + Math.floor(micros / 1000),
    states,
    views: readViews(states, texts, packed),
    holds: readHolds(holds ?? {}),
    lastSeq: (last as StreamEntry[])[0]?.[0] ?? '0',
  };
}

async function readMemory(
  { redis, keys, ask }: StoreContext,
  run: string,
  field: string,
): Promise<Json | undefined> {
  const text = await ask(redis.hget(keys.ofRun(run, 'mem'), field));
  return text === null ? undefined : (JSON.parse(text) as Json);
}

const noBytes = Buffer.alloc(0);

async function readBrief({ redis, keys, ask }: StoreContext, run: string): Promise<RunBrief> {
  const asked = redis.hmget(keys.ofRun(run, 'meta'), 'state', 'by', 'steps', 'mainLeft', 'createdMs');
  const [state, by, steps, mainLeft, createdMs] = await ask(asked);
  if (!state) throw unknownRun(run);
  return {
    state: state as RunState,
    by: by ?? '',
    steps: Number(steps),
    isMainOver: mainLeft === '0',
    createdMs: Number(createdMs),
  };
}

async function readHold({ redis, keys, ask }: StoreContext, { run, step }: StepRef) {
  const [text, begun, [seconds = 0, micros = 0]] = await Promise.all([
    ask(redis.hget(keys.ofRun(run, 'holds'), String(step))),
    ask(redis.getbit(keys.ofRun(run, 'did'), step)),
    ask(redis.time()),
  ]);
  const [hold] = readHolds(text === null ? {} : { [step]: text });
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  return { ...(hold && { hold }), hasBegun: begun === 1, nowMs };
}

/** Bytes of the states in which something may still change. */
const underWayStates = ['running', 'unknown', 'waiting', 'ready'] as const;

async function readUnderWay(
  { redis, keys, ask }: StoreContext,
  run: string,
  below: number,
): Promise<readonly number[]> {
  if (below === 0) return [];
  const [states, parts] = await Promise.all([
    ask(redis.getrange(keys.ofRun(run, 'st'), 0, below - 1)),
    ask(redis.getrange(keys.ofRun(run, 'part'), 0, below - 1)),
  ]);
  const bytes = underWayStates.map((state) => stepStates[state] as string);
  return [...states].flatMap((byte, step) => (bytes.includes(byte) && parts[step] === 'm' ? [step] : []));
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
