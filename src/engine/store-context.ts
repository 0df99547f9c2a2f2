import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Redis } from 'ioredis';
import { CephflowError } from '../base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import { askRedis } from './redis.ts';
import { type CallScript, loadScripts, type StoreKeys, storeKeys } from './store-scripts.ts';
import { type Shape, shapeOf } from './store-shape.ts';

/** Plans kept in memory: more runs than one process works on at once; each may be some MB. */
const plansKept = 32;
/** Steps of one run that stand in the queue and are not claimed; the rest waits in the outbox, which is cheaper. */
const defaultWindow = 1000;
/** A delivery that nobody claimed for so long is looked for in the queue. */
const defaultResendMs = 15_000;

/** Hold what all parts of the store share. */
export interface StoreContext {
  readonly redis: Redis;
  readonly keys: StoreKeys;
  readonly call: CallScript;
  readonly window: number;
  /** While more than this is sent and not claimed, nothing more is taken: refills come in bulk. */
  readonly lowWater: number;
  readonly resendMs: number;
  /** @throws RUN_UNKNOWN */
  plan(run: string): Promise<PlanWithShape>;
  keep(run: string, plan: Plan): PlanWithShape;
  /** @throws REDIS_UNREACHABLE */
  ask<T>(asked: Promise<T>): Promise<T>;
}

/** Hold a plan with the shape of its graph. */
interface PlanWithShape {
  readonly plan: Plan;
  readonly shape: Shape;
}

/** Say how a store is opened. `prefix`: of all keys. */
export interface StoreOptions {
  readonly prefix: string;
  /** Default 1000. */
  readonly dispatchWindow?: number;
  /** A delivery that nobody claimed for so long is looked for in the queue, and sent anew if lost. Default 15 s. */
  readonly resendMs?: number;
}

/** Put together what all parts of the store share. */
export function createContext(redis: Redis, options: StoreOptions): StoreContext {
  const keys = storeKeys(options.prefix);
  const plans = new Map<string, PlanWithShape>();
  const keep = (run: string, plan: Plan) => {
    const kept = { plan, shape: shapeOf(plan) };
    plans.set(run, kept);
    const oldest = plans.keys().next().value;
    if (plans.size > plansKept && oldest !== undefined) plans.delete(oldest);
    return kept;
  };
  const window = options.dispatchWindow ?? defaultWindow;
  return {
    redis,
    keys,
    keep,
    ask: (asked) => askRedis(redis, asked),
    call: loadScripts(redis, keys),
    window,
    lowWater: Math.floor(window / 2),
    resendMs: options.resendMs ?? defaultResendMs,
    plan: async (run) => plans.get(run) ?? keep(run, await readPlan(redis, keys, run)),
  };
}

const unzip = promisify(gunzip);

async function readPlan(redis: Redis, keys: StoreKeys, run: string): Promise<Plan> {
  const hash = await askRedis(redis, redis.hget(keys.ofRun(run, 'meta'), 'planHash'));
  if (hash === null) throw unknownRun(run);
  const zipped = await askRedis(redis, redis.getBuffer(keys.plan(hash)));
  if (zipped === null)
    throw new CephflowError('INTERNAL', `the plan ${hash} of run ${run} is not in the store`);
  return JSON.parse((await unzip(zipped)).toString()) as Plan;
}

/** Say that there is no such run. */
export function unknownRun(run: string): CephflowError {
  return new CephflowError('RUN_UNKNOWN', `there is no run ${run}`, {
    hint: '`cephflow runs` lists them; a prefix of the id is enough',
  });
}
