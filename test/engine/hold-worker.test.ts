import { afterAll, beforeAll, expect, test } from 'vitest';
import { createControl } from '../../src/engine/control.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import type { Systems } from '../../src/engine/systems.ts';
import { startWorker } from '../../src/engine/worker.ts';
import { duration, task } from '../../src/index.ts';
import { compile, head, smallContext } from '../plan/support.ts';
import { fakeMarkers, ourInstance } from './fake-markers.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';

let server: PrivateRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

test('a worker renews a hold again and again while a long act of the same run is under way', async () => {
  const seen = { renewed: 0 };
  const hold = task({
    name: 'light.on',
    summary: 'Switch the light on',
    risk: 'changes',
    params: { life: duration('How long') },
    run: async () => undefined,
    hold: {
      life: 'life',
      renew: async () => {
        seen.renewed += 1;
      },
      release: async () => undefined,
    },
  });
  const wait = task({
    name: 'word.wait',
    summary: 'Act until told to end',
    risk: 'changes',
    params: {},
    run: (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(0))),
  });
  const tasks = new Map([hold, wait].map((one) => [one.name, { task: one, file: one.name, hash: 'h1' }]));
  const redis = await connectRedis(server.socket, 'worker');
  const store = await openStore(redis, { prefix: 'h' });
  const { map } = smallContext();
  const all = { ceph: { osdMap: async () => map }, markers: fakeMarkers() };
  const systems = { read: () => all, act: () => all, close: async () => undefined } as unknown as Systems;
  const lines: string[] = [];
  const worker = startWorker({
    ...{ redis, store, prefix: 'h', tasks, clusters: ['lab'], concurrency: 4, leaseMs: 20_000 },
    systemsFor: async () => systems,
    name: 'one',
    instance: ourInstance,
    log: (line) => lines.push(line),
  });
  const steps = 'steps: [{ task: light.on, with: { life: 2s } }, { task: word.wait }]\n';
  const plan = compile(`${head}${steps}`, { ...smallContext(), tasks });
  await createControl(store).startRun(plan, { by: 'ann' });
  await expect.poll(() => seen.renewed, { timeout: 15_000 }).toBeGreaterThan(3);
  expect(lines).toEqual([]);
  await worker.stop(0);
  await store.close();
});
