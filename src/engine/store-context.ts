import type { Redis } from 'ioredis';
import { CephflowError } from '../base/errors.ts';
import { askRedis } from './redis.ts';
import { type AskStep, batchSteps } from './store-batch.ts';
import { openPlanView, type PlanView, type ReadFields, type RunParts } from './store-plan.ts';
import {
  type CallScript,
  loadDraftScript,
  loadScripts,
  type ScriptArgument,
  type StoreKeys,
  storeKeys,
} from './store-scripts.ts';

/** Views of plans kept in memory: more runs than one process works on at once. */
const viewsKept = 64;
/**
 * Deliveries of one run that stand in the queue and are not claimed; the rest waits in the outbox, which is cheaper. One
 * delivery is enough to wake a worker: with it, it claims from the outbox for all its free hands.
 */
const defaultWindow = 32;
/** A delivery that nobody claimed for so long is looked for in the queue. */
const defaultResendMs = 15_000;
/** Runs that ended well are kept for a week, others for a month: that is when somebody asks. */
const defaultRetention = { succeededMs: 7 * 86_400_000, otherMs: 30 * 86_400_000 } as const;

/** Hold what all parts of the store share. */
export interface StoreContext {
  readonly redis: Redis;
  readonly prefix: string;
  readonly keys: StoreKeys;
  readonly call: CallScript;
  /** Operations of workers on steps, batched. */
  readonly step: AskStep;
  /** Write a part of a plan that no run uses yet: its life in seconds, then field, value, … */
  writeDraft(key: string, words: readonly ScriptArgument[]): Promise<unknown>;
  readonly window: number;
  /** While more than this is sent and not claimed, nothing more is taken: refills come in bulk. */
  readonly lowWater: number;
  readonly resendMs: number;
  readonly retention: Retention;
  /** Look at the plan of a run. `atLeast`: so many steps are known to be there. @throws RUN_UNKNOWN */
  view(run: string, atLeast?: number): Promise<PlanView>;
  /** The run has grown, or may have: look again. */
  forgetView(run: string): void;
  /** @throws REDIS_UNREACHABLE */
  ask<T>(asked: Promise<T>): Promise<T>;
}

/** Say how long ended runs are kept, in milliseconds. */
interface Retention {
  readonly succeededMs: number;
  readonly otherMs: number;
}

/** Say how a store is opened. `prefix`: of all keys. */
export interface StoreOptions {
  readonly prefix: string;
  /** Default 32. */
  readonly dispatchWindow?: number;
  /** A delivery that nobody claimed for so long is looked for in the queue, and sent anew if lost. Default 15 s. */
  readonly resendMs?: number;
  /** Default a week for what succeeded, 30 days for all else. */
  readonly retention?: Retention;
}

/** Put together what all parts of the store share. */
export function createContext(redis: Redis, options: StoreOptions): StoreContext {
  const keys = storeKeys(options.prefix);
  const views = new Map<string, Promise<PlanView>>();
  const call = loadScripts(redis, keys);
  const window = options.dispatchWindow ?? defaultWindow;
  const open = async (run: string) => openPlanView(readFieldsOf(redis), await readParts(redis, keys, run));
  const keep = (run: string) => {
    const opened = open(run);
    views.set(run, opened);
    opened.catch(() => views.delete(run));
    const oldest = views.keys().next().value;
    if (views.size > viewsKept && oldest !== undefined) views.delete(oldest);
    return opened;
  };
  return {
    redis,
    prefix: options.prefix,
    keys,
    ask: (asked) => askRedis(redis, asked),
    call,
    step: batchSteps((run, args) => call('steps', run, args)),
    writeDraft: loadDraftScript(redis, keys),
    window,
    lowWater: Math.floor(window / 2),
    resendMs: options.resendMs ?? defaultResendMs,
    retention: options.retention ?? defaultRetention,
    view: async (run, atLeast = 0) => {
      const known = await (views.get(run) ?? keep(run));
      return known.size >= atLeast ? known : keep(run);
    },
    forgetView: (run) => views.delete(run),
  };
}

function readFieldsOf(redis: Redis): ReadFields {
  return (key, fields) => askRedis(redis, redis.hmgetBuffer(key, ...fields));
}

async function readParts(redis: Redis, keys: StoreKeys, run: string): Promise<RunParts> {
  const asked = redis.hmget(keys.ofRun(run, 'meta'), 'planKey', 'parts');
  const [planKey, parts] = await askRedis(redis, asked);
  if (!planKey) throw unknownRun(run);
  return { planKey, grown: parts ? (JSON.parse(parts) as RunParts['grown']) : [] };
}

/** Say that there is no such run. */
export function unknownRun(run: string): CephflowError {
  return new CephflowError('RUN_UNKNOWN', `there is no run ${run}`, {
    hint: '`cephflow runs` lists them; a prefix of the id is enough',
  });
}
