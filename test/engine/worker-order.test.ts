import { expect, test } from 'vitest';
import { createControl } from '../../src/engine/control.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import type { Store } from '../../src/engine/store.ts';
import { type Task, task } from '../../src/task/task.ts';
import { benchForEachTest, planFor } from './worker-bench.ts';

const bench = benchForEachTest();
const limitMs = 60_000;

/** A task that notes whose step acts. */
function noting(acts: string[]): Task {
  return task({
    name: 'word.note',
    summary: 'Note who acts',
    risk: 'changes',
    params: {},
    run: async (_, { step }) => {
      acts.push(`${step.run} ${step.id}`);
    },
  });
}

async function succeeds(run: string): Promise<void> {
  expect(await waitUntil(async () => (await bench.store.brief(run)).state === 'succeeded', limitMs)).toBe(
    true,
  );
}

const many = (count: number, id = 's') =>
  Array.from({ length: count }, (_, at) => ({ id: `${id}${at}`, task: 'word.note' }));

test('a rate: in no window of its length are there more acts than it allows, over all runs', async () => {
  const rate = { name: 'calls', most: 5, perMs: 400 };
  const leaves: { readonly beforeMs: number; readonly afterMs: number }[] = [];
  const noteLeaves = (store: Store): Store => ({
    ...store,
    askRate: async (...asked) => {
      const beforeMs = Date.now();
      const waitMs = await store.askRate(...asked);
      if (waitMs === 0) leaves.push({ beforeMs, afterMs: Date.now() });
      return waitMs;
    },
  });
  const note = noting([]);
  for (const name of ['one', 'two']) await bench.work([note], { name, wrap: noteLeaves });
  const limited = many(12).map((one) => ({ ...one, rate }));
  for (const run of ['a', 'b']) await bench.store.createRun(planFor(limited, [note]), { by: 'ann', run });
  for (const run of ['a', 'b']) await succeeds(run);
  expect(leaves).toHaveLength(24);
  const inOrder = leaves.toSorted((a, b) => a.afterMs - b.afterMs);
  for (const [at, { beforeMs }] of inOrder.entries()) {
    const later = inOrder[at + rate.most];
    // Redis gave its leave between these two moments, by the same clock
    if (later) expect(later.afterMs - beforeMs).toBeGreaterThanOrEqual(rate.perMs - 1);
  }
});

test('priorities: of the ready steps of a run the higher goes first', async () => {
  const acts: string[] = [];
  const note = noting(acts);
  const priorities = [0, -5, 100, 7, 0, -100, 7, 1];
  const steps = many(8).map((one, at) => ({ ...one, priority: priorities[at] ?? 0 }));
  await bench.store.createRun(planFor(steps, [note]), { by: 'ann', run: 'r' });
  await bench.work([note], { concurrency: 1 });
  await succeeds('r');
  expect(acts.map((act) => Number(act.slice('r s'.length)))).toEqual([2, 3, 6, 7, 0, 4, 1, 5]);
});

test('fairness: a small run ends before a tenth of what a large one had left is done', async () => {
  const acts: string[] = [];
  const note = noting(acts);
  await bench.work([note], { concurrency: 2 });
  await bench.store.createRun(planFor(many(2000), [note]), { by: 'ann', run: 'large' });
  expect(await waitUntil(async () => acts.length >= 100, limitMs)).toBe(true);
  const chain = many(5).map((one, at) => ({ ...one, after: at === 0 ? [] : [at - 1] }));
  const doneBefore = acts.length;
  const dispatcher = bench.dispatcher();
  const control = createControl(bench.store, { dispatch: dispatcher.poke });
  const small = await control.startRun(planFor(chain, [note]), { by: 'bob' });
  await succeeds(small);
  const between = acts
    .slice(doneBefore, acts.indexOf(`${small} s4`))
    .filter((act) => act.startsWith('large'));
  process.stdout.write(
    `fairness: ${between.length} acts of ${2000 - doneBefore} came before the end of five\n`,
  );
  expect(between.length).toBeLessThan((2000 - doneBefore) / 10);
  await succeeds('large');
});
