import { beforeEach, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { createControl } from '../../src/engine/control.ts';
import { type Canvas, chain, chord, group, integer, json, previous, step, task } from '../../src/index.ts';
import { type CanvasPlan, compileCanvas } from '../../src/plan/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { ancestorGraphs } from '../plan/ancestors.ts';
import { smallContext } from '../plan/support.ts';
import { benchForEachTest, usualHash } from './worker-bench.ts';

const limitMs = 50_000;
const bench = benchForEachTest(smallContext().map);
beforeEach(async () => {
  acts.splice(0);
  await bench.work([make, see], { concurrency: 8 });
});

/** What steps saw when they acted, in the order of the acts. */
const acts: { readonly id: string; readonly values: Json; readonly payloads: readonly unknown[] }[] = [];

const make = task({
  name: 'number.make',
  summary: 'Make a number',
  risk: 'changes',
  params: { n: integer('The number') },
  output: { n: 'The number', by: 'Its step' },
  run: async ({ n }, { step: { id, payload, runPayload } }) => {
    acts.push({ id, values: { n }, payloads: [payload, runPayload] });
    return { n, by: id };
  },
});
const see = task({
  name: 'values.see',
  summary: 'See what is passed on',
  risk: 'changes',
  params: { seen: json('Anything') },
  output: { seen: 'The same' },
  run: async ({ seen }, { step: { id } }) => {
    acts.push({ id, values: seen, payloads: [] });
    return { seen };
  },
});
const tasks = new Map([make, see].map((one) => [one.name, { task: one, file: one.name, hash: usualHash }]));

async function carryOut(main: Canvas, more: Partial<CanvasPlan> = {}): Promise<{ plan: Plan; run: string }> {
  const plan = compileCanvas(
    { name: 'it', summary: 's', target: '', main, ...more },
    { ...smallContext(), tasks },
  );
  const control = createControl(bench.store);
  const run = await control.startRun(plan, { by: 'ann' });
  const states: unknown[] = [];
  for await (const { kind, state } of control.follow(run, { signal: AbortSignal.timeout(limitMs) })) {
    if (kind === 'run-state-changed') states.push(state);
  }
  expect(states.at(-1)).toBe('succeeded');
  return { plan, run };
}

for (const [name, count] of [
  ['of57', 57],
  ['of23', 23],
] as const) {
  test(`canvas: the ancestors' graph ${name} is carried out, each step once and after all that it comes after`, async () => {
    const { plan, run } = await carryOut(ancestorGraphs(() => step('number.make', { n: 1 }))[name]);
    const places = new Map(acts.map(({ id }, place) => [id, place]));
    expect(acts).toHaveLength(count);
    expect(places.size).toBe(count);
    const { states } = await bench.store.snapshot(run);
    expect([...new Set(states)]).toEqual(['succeeded']);
    const ancestors: Set<number>[] = [];
    plan.steps.forEach(({ id, after }, index) => {
      ancestors[index] = new Set(after.flatMap((one) => [one, ...(ancestors[one] ?? [])]));
      for (const one of ancestors[index] ?? []) {
        const earlier = places.get(plan.steps[one]?.id ?? '');
        const own = places.get(id);
        if (earlier !== undefined && own !== undefined) expect(earlier).toBeLessThan(own);
      }
    });
  });
}

test('canvas: what steps return is passed on, of one step, of a group, and through a group to each member', async () => {
  const numbers = Array.from({ length: 40 }, (_, n) => step('number.make', { n }, { id: `m${n}` }));
  await carryOut(
    chain(
      step('number.make', { n: 7 }, { id: 'first' }),
      step('values.see', { seen: { of: previous('by'), all: previous() } }, { id: 'one' }),
      chord(numbers, step('values.see', { seen: previous('n') }, { id: 'body' })),
      group([
        step('values.see', { seen: previous('seen') }, { id: 'left' }),
        step('number.make', { n: 1 }, { id: 'right' }),
      ]),
      step('number.make', { n: 2 }, { id: 'immutable' }),
    ),
  );
  const seen = Object.fromEntries(acts.map(({ id, values }) => [id, values]));
  const list = numbers.map((_, n) => n);
  expect(seen['one']).toEqual({ of: 'first', all: { n: 7, by: 'first' } });
  expect(seen['body']).toEqual(list);
  expect(seen['left']).toEqual(list);
  expect(seen['immutable']).toEqual({ n: 2 });
});

test('canvas: a task sees the payload of its step and of its run', async () => {
  const payload = { ticket: 'DC-7' };
  const main = chain(
    step('number.make', { n: 1 }, { id: 'a', payload }),
    step('number.make', { n: 2 }, { id: 'b' }),
  );
  const { plan } = await carryOut(main, { payload: ['run', 1] });
  expect(plan.payload).toEqual(['run', 1]);
  expect(acts.map(({ id, payloads }) => [id, ...payloads])).toEqual([
    ['a', payload, ['run', 1]],
    ['b', undefined, ['run', 1]],
  ]);
});
