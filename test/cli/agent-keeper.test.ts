import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKeeper } from '../../src/cli/agent-keeper.ts';
import type { Wire } from '../../src/cli/parts.ts';
import { agentStatus, ensureAgent, stopAgent } from '../../src/engine/agent.ts';
import { startEmbeddedRedis, stopEmbeddedRedis } from '../../src/engine/embedded.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { planOf } from '../engine/plans.ts';

const searchPath = process.env['PATH'] ?? '';
const main = resolve(import.meta.dirname, '../engine/agent-main.ts');
let stateDir: string;
let config: string;
let store: Store;
beforeEach(async () => {
  stateDir = await mkdtemp('/tmp/cephflow-keeper-');
  config = join(stateDir, 'config.yaml');
  await writeFile(config, '');
  await utimes(config, 0, 0);
  await writeFile(join(stateDir, 'unfinished'), '1');
  const { socket } = await startEmbeddedRedis({ stateDir, searchPath });
  store = await openStore(await connectRedis(socket, 'producer'), { prefix: 'k' });
});
afterEach(async () => {
  await store.close();
  await stopAgent(stateDir);
  await stopEmbeddedRedis(stateDir);
  await rm(stateDir, { recursive: true });
});

/** A keeper of a command whose config has these clusters; the agent of these tests has lab1. */
function keeperFor(...clusters: readonly string[]) {
  const warned: string[] = [];
  const agent = {
    command: [process.execPath, '--import', import.meta.resolve('tsx'), main, stateDir, '3600000'],
    environment: { PATH: searchPath },
  };
  const known = Object.fromEntries(clusters.map((name) => [name, {}]));
  const wire = {
    stateDir,
    self: 'cephflow',
    agent,
    config: async () => ({ clusters: known, files: [config] }),
  };
  const keeper = createKeeper(wire as unknown as Wire, (text) => warned.push(text));
  return { ...keeper, warned, start: () => ensureAgent({ stateDir, ...agent }) };
}

const pid = async () => (await agentStatus(stateDir))?.pid;

/** Start a run on a cluster whose only step is under way. */
async function act(cluster: string): Promise<void> {
  const run = await store.createRun(planOf([{ id: 'a' }], { cluster }), { by: 'ann' });
  const [delivery] = await store.takeReady(run);
  const answer = await store.claim({
    run,
    step: 0,
    delivery: delivery?.delivery ?? 0,
    worker: 'w',
    leaseMs: 60_000,
  });
  expect(answer.kind).toBe('granted');
}

test('keeper: an edited config replaces the agent, but not while a step is under way', async () => {
  const keeper = keeperFor('lab1');
  const first = (await keeper.start()).pid;
  await store.createRun(planOf([{ id: 'a' }], { cluster: 'lab1', locks: [] }), { by: 'ann' });
  await keeper.keepGoing(store);
  expect(await pid()).toBe(first);
  const future = Date.now() / 1000 + 3600;
  await utimes(config, future, future);
  await keeper.keepGoing(store);
  const second = await pid();
  expect(second).not.toBe(first);
  await act('lab1');
  await keeper.keepGoing(store);
  await keeper.keepGoing(store);
  expect(await pid()).toBe(second);
  expect(keeper.warned).toHaveLength(1);
});

test('keeper: a run on a cluster that the agent lacks is refused, or the agent is started anew', async () => {
  const keeper = keeperFor('lab2');
  const first = (await keeper.start()).pid;
  await keeper.makeReady(store, ['lab2']);
  const second = await pid();
  expect(second).not.toBe(first);
  await act('lab1');
  await expect(keeper.makeReady(store, ['lab2'])).rejects.toThrow('which has lab1, but not lab2');
  expect(await pid()).toBe(second);
});
