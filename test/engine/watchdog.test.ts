import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../src/engine/processes.ts';
import { type ConsumerOptions, openQueue, startConsumer } from '../../src/engine/queue.ts';
import { watchConsumer } from '../../src/engine/watchdog.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';

const limitMs = 30_000;
const silenceMs = 300;
let server: PrivateRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** A connection whose copies, once broken, end for ever, as those of BullMQ were seen to after a failover. */
async function fragileRedis() {
  const state = { isBroken: false };
  const redis = new Redis(server.socket, {
    maxRetriesPerRequest: null,
    retryStrategy: () => (state.isBroken ? null : 20),
  });
  redis.on('error', () => undefined);
  const own = String(await redis.client('ID'));
  const breakCopies = async (prefix: string) => {
    state.isBroken = true;
    const spared = [own, String(await server.redis.client('ID'))];
    const list = String(await server.redis.client('LIST'));
    const ids = [...list.matchAll(/^id=(\d+) /gm)].map(([, id = '']) => id);
    for (const id of ids.filter((one) => !spared.includes(one))) await server.redis.client('KILL', 'ID', id);
    const queue = openQueue(server.redis, { prefix, cluster: 'lab' });
    await queue.send([{ run: 'r', step: 1, delivery: 1 }]);
    await queue.close();
    state.isBroken = false;
  };
  return { redis, breakCopies };
}

const optionsOf = (prefix: string, taken: number[]): ConsumerOptions => ({
  prefix,
  cluster: 'lab',
  concurrency: 2,
  lockMs: 1000,
  handle: async ({ step }) => {
    taken.push(step);
  },
  onError: () => {
    // Connections that are killed are what these tests are about.
  },
});

async function untilTaken(prefix: string, taken: readonly number[]): Promise<void> {
  const queue = openQueue(server.redis, { prefix, cluster: 'lab' });
  await queue.send([{ run: 'r', step: 0, delivery: 1 }]);
  expect(await waitUntil(async () => taken.length === 1, limitMs)).toBe(true);
  await queue.close();
}

test('watchdog: a consumer whose connections have ended for ever is replaced', async () => {
  const { redis, breakCopies } = await fragileRedis();
  const taken: number[] = [];
  const lines: string[] = [];
  const options = { ...optionsOf('dead', taken), silenceMs, log: (line: string) => lines.push(line) };
  const consumer = watchConsumer(options, (plain) => startConsumer(redis, plain));
  await untilTaken('dead', taken);
  await breakCopies('dead');
  expect(await waitUntil(async () => taken.includes(1), limitMs)).toBe(true);
  expect(lines).toEqual([
    '1 deliveries of lab wait and none is begun: the connection to the queue is made anew',
  ]);
  await consumer.close();
  redis.disconnect();
});

test('watchdog: one that is busy, or has nothing to do, is left alone', async () => {
  const { redis } = await fragileRedis();
  const lines: string[] = [];
  const state = { begun: 0 };
  let end: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    end = resolve;
  });
  const options = {
    ...optionsOf('busy', []),
    silenceMs,
    log: (line: string) => lines.push(line),
    handle: async () => {
      state.begun += 1;
      await gate;
    },
  };
  const counts: number[] = [];
  const consumer = watchConsumer(options, (plain) => {
    const inner = startConsumer(redis, plain);
    const waiting = async () => {
      const count = await inner.waiting();
      counts.push(count);
      return count;
    };
    return { ...inner, waiting };
  });
  // it is asked again and again, and finds nothing
  expect(await waitUntil(async () => counts.length > 6, limitMs)).toBe(true);
  const queue = openQueue(redis, { prefix: 'busy', cluster: 'lab' });
  const delivery = (step: number) => ({ run: 'r', step, delivery: 1 });
  await queue.send([0, 1, 2, 3].map(delivery));
  expect(await waitUntil(async () => state.begun === 2, limitMs)).toBe(true);
  expect(await consumer.waiting()).toBe(2);
  const endMs = Date.now() + 3 * silenceMs;
  expect(await waitUntil(async () => Date.now() > endMs, limitMs)).toBe(true);
  end();
  expect(await waitUntil(async () => state.begun === 4, limitMs)).toBe(true);
  expect(lines).toEqual([]);
  await consumer.close();
  await queue.close();
  redis.disconnect();
});

test('watchdog: without it such a consumer stays silent', async () => {
  const { redis, breakCopies } = await fragileRedis();
  const taken: number[] = [];
  const consumer = startConsumer(redis, optionsOf('silent', taken));
  await untilTaken('silent', taken);
  await breakCopies('silent');
  expect(await waitUntil(async () => taken.includes(1), 10 * silenceMs)).toBe(false);
  expect(await consumer.waiting()).toBe(1);
  await consumer.close();
  redis.disconnect();
});
