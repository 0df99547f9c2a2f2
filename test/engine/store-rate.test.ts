import { expect, test } from 'vitest';
import { planOf } from './plans.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

test('a rate: in no window of its length are there more leaves than it allows, however eagerly it is asked', async () => {
  const { store } = rig;
  await store.createRun(planOf([{ id: 'a' }, { id: 'b' }]), { by: 'ann', run: 'r' });
  const grants = [await rig.claim('r', 0), await rig.claim('r', 1)];
  const rate = { name: 'calls', most: 5, perMs: 150 };
  const leaves: { readonly beforeMs: number; readonly afterMs: number }[] = [];
  const waits: number[] = [];
  for (let asked = 0; leaves.length < 20 && asked < 1e5; asked += 1) {
    const grant = grants[asked % 2];
    const beforeMs = Date.now();
    const wait = grant ? await store.askRate(grant, rate) : 'lost';
    if (wait === 0) leaves.push({ beforeMs, afterMs: Date.now() });
    else waits.push(Number(wait));
  }
  expect(leaves).toHaveLength(20);
  for (const [at, { beforeMs }] of leaves.entries()) {
    const later = leaves[at + rate.most];
    // Redis gave its leave between these two moments, by the same clock
    if (later) expect(later.afterMs - beforeMs).toBeGreaterThanOrEqual(rate.perMs - 1);
  }
  expect(Math.max(...waits)).toBeLessThanOrEqual(rate.perMs);
  expect(Math.min(...waits)).toBeGreaterThan(0);
});

test('a rate: one of another name, and one that allows more under the same, count by themselves and together', async () => {
  const { store } = rig;
  await store.createRun(planOf([{ id: 'a' }]), { by: 'ann', run: 'r' });
  const grant = await rig.claim('r', 0);
  const ask = (name: string, most: number) => store.askRate(grant, { name, most, perMs: 60_000 });
  expect([await ask('x', 2), await ask('x', 2), await ask('y', 1)]).toEqual([0, 0, 0]);
  expect(await ask('x', 2)).toBeGreaterThan(50_000);
  expect(await ask('x', 3)).toBe(0);
  expect(await ask('x', 3)).toBeGreaterThan(50_000);
  expect(await ask('y', 1)).toBeGreaterThan(50_000);
});
