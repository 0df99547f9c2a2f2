import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Grant, Outcome } from '../../src/engine/leases.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';

/** A store with its own keys, and shortcuts that a test reads like sentences. */
export interface Rig {
  readonly server: PrivateRedis;
  readonly store: Store;
  readonly prefix: string;
  readonly redis: Redis;
  /** Claim a step at its present delivery; fails the test when it is not granted. */
  claim(run: string, step: number): Promise<Grant>;
  /** Claim and complete. */
  pass(run: string, step: number, outcome?: Partial<Outcome>): Promise<void>;
  delivery(run: string, step: number): Promise<number>;
  states(run: string): Promise<string>;
  runState(run: string): Promise<string>;
  /** Make the step's timer (`|h`: its hold's) due now, and let the leader's tick handle it. */
  fire(run: string, step: number | string, isQueued?: boolean): Promise<void>;
  steps(run: string): Promise<number[]>;
}

/** Have a redis-server (`more`: its options) for the tests of a file, and on it a store of its own for each of them. */
export function rigForEachTest(more: readonly string[] = []): Rig {
  const rig: Partial<Rig> = {};
  let server: PrivateRedis;
  beforeAll(async () => {
    server = await startRedis(more);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    const opened = await openRig(server);
    Object.assign(rig, opened);
    return () => opened.store.close();
  });
  return rig as Rig;
}

/** Open a store on a private server. `prefix`: its own, unless others are to find its runs. */
export async function openRig(
  server: PrivateRedis,
  dispatchWindow = 1000,
  prefix = `t${randomBytes(4).toString('hex')}`,
): Promise<Rig> {
  const store = await openStore(await connectRedis(server.socket, 'worker'), { prefix, dispatchWindow });
  const { redis } = server;
  const claim = async (run: string, step: number): Promise<Grant> => {
    const delivery = await deliveryOf(redis, prefix, run, step);
    const answer = await store.claim({ run, step, delivery, worker: 'w1', leaseMs: 60_000 });
    if (answer.kind !== 'granted') throw new Error(`step ${step} was not granted: ${answer.kind}`);
    return answer.grant;
  };
  return {
    server,
    store,
    prefix,
    redis,
    claim,
    pass: async (run, step, outcome = {}) => {
      const done = await store.complete(await claim(run, step), {
        state: 'succeeded',
        acted: true,
        ...outcome,
      });
      if (done.kind !== 'accepted') throw new Error(`step ${step} was not accepted: ${done.kind}`);
    },
    delivery: (run, step) => deliveryOf(redis, prefix, run, step),
    states: async (run) => (await redis.get(`${prefix}:{${run}}:st`)) ?? '',
    runState: async (run) => (await redis.hget(`${prefix}:{${run}}:meta`, 'state')) ?? '',
    fire: async (run, step, isQueued = false) => {
      await redis.zadd(`${prefix}:timers`, 'XX', 0, `${run}|${step}`);
      await store.tick({ epoch: 1_000_000, isQueued: async () => isQueued });
    },
    steps: async (run) => (await store.takeReady(run)).map(({ step }) => step),
  };
}

async function deliveryOf(redis: Redis, prefix: string, run: string, step: number): Promise<number> {
  const [found] = (await redis.call('BITFIELD', `${prefix}:{${run}}:dlv`, 'GET', 'u32', `#${step}`)) as [
    number,
  ];
  return found;
}
