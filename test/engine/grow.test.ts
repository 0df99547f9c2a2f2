import { beforeEach, expect, test } from 'vitest';
import { createControl } from '../../src/engine/control.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import { integer, task, text } from '../../src/index.ts';
import { tasksOf } from '../../src/plan/plan-steps.ts';
import { compile, head, smallContext } from '../plan/support.ts';
import { benchForEachTest, usualHash } from './worker-bench.ts';

const limitMs = 40_000;
const bench = benchForEachTest(smallContext().map);
/** What was done and taken back, in its order. */
const acts: string[] = [];
/** Members of a group that were begun and not ended at one time. */
const beside = { now: 0, most: 0 };

beforeEach(async () => {
  acts.splice(0);
  Object.assign(beside, { now: 0, most: 0 });
  await bench.work(all, { concurrency: 8 });
});

const find = task({
  name: 'list.find',
  summary: 'Find a list',
  risk: 'changes',
  isNeutral: true,
  params: { count: integer('How many') },
  output: { names: 'The list' },
  run: async ({ count }) => ({ names: Array.from({ length: count }, (_, at) => `n${at}`) }),
});
const act = task({
  name: 'word.act',
  summary: 'Do something that can be taken back',
  risk: 'changes',
  params: { word: text('What') },
  output: { word: 'What was done' },
  remember: async ({ word }) => `before ${word}`,
  run: async ({ word }) => {
    beside.now += 1;
    beside.most = Math.max(beside.most, beside.now);
    await new Promise((resolve) => setImmediate(resolve));
    beside.now -= 1;
    acts.push(`do ${word}`);
    return { word };
  },
  undo: async ({ word }, { remembered }) => {
    acts.push(`undo ${word} (${remembered})`);
  },
});
const forEver = task({
  name: 'word.burn',
  summary: 'Do something that has no way back',
  risk: 'changes',
  params: {},
  run: async () => {
    acts.push('burn');
  },
});
const wait = task({
  name: 'word.wait',
  summary: 'Wait for ever',
  risk: 'reads',
  params: {},
  poll: '1h',
  done: async () => ({ waitingFor: 'the end of time' }),
});
const all = [find, act, forEver, wait];
const tasks = new Map(all.map((one) => [one.name, { task: one, file: one.name, hash: usualHash }]));

const control = () => createControl(bench.store, { tasks: async () => tasksOf(tasks) });
const ann = { by: 'ann', reason: 'a test' };

async function start(steps: string): Promise<string> {
  return control().startRun(compile(`${head}${steps}`, { ...smallContext(), tasks }), ann);
}

async function ends(run: string): Promise<string> {
  const isOver = async () =>
    ['succeeded', 'aborted', 'undone', 'left-over', 'failed'].includes((await bench.store.brief(run)).state);
  expect(await waitUntil(isOver, limitMs)).toBe(true);
  return (await bench.store.brief(run)).state;
}

const expanding = (count: number, atMost = 20) => `steps:
  - { task: list.find, id: find, with: { count: ${count} } }
  - id: each
    group:
      for-each: { name: "\${steps.find.output.names}" }
      at-most: ${atMost}
      max-parallel: 2
      steps:
        - { task: word.act, id: first, with: { word: "\${name}" } }
        - { task: word.act, id: second, with: { word: "\${steps.first.output.word} again" } }
  - { task: word.act, id: after, with: { word: last } }
`;

test('a for-each over an output appends its members; what follows comes after all of them', async () => {
  const run = await start(expanding(5));
  expect(await ends(run)).toBe('succeeded');
  expect(acts).toHaveLength(11);
  expect(acts.at(-1)).toBe('do last');
  for (const at of [0, 1, 2, 3, 4])
    expect(acts.indexOf(`do n${at}`)).toBeLessThan(acts.indexOf(`do n${at} again`));
  expect(beside.most).toBeLessThanOrEqual(2);
  const { steps } = await bench.store.plan(run);
  expect(steps.map(({ id }) => id)).toContain('second@n4');
  expect(steps.at(-1)?.id).toBe('each.joined');
  expect(await bench.store.examine(run)).toEqual([]);
});

test('an output without members lets what follows begin', async () => {
  const run = await start(expanding(0));
  expect(await ends(run)).toBe('succeeded');
  expect(acts).toEqual(['do last']);
});

test('more members than were approved fail the step, and the run waits for a person', async () => {
  const run = await start(expanding(5, 4));
  expect(await ends(run)).toBe('failed');
  const { views } = await bench.store.snapshot(run);
  expect(views.find(({ state }) => state === 'failed')?.error?.code).toBe('EXPANSION_INVALID');
  expect(acts).toEqual([]);
});

test('undo takes back what was done, the last first, members that were appended too', async () => {
  const run = await start(`${expanding(2)}  - { task: word.wait, id: wait }\n`);
  expect(await waitUntil(async () => acts.includes('do last'), limitMs)).toBe(true);
  await control().undo(run, ann);
  expect(await ends(run)).toBe('undone');
  const undone = acts.filter((one) => one.startsWith('undo'));
  expect(undone).toHaveLength(5);
  expect(undone[0]).toBe('undo last (before last)');
  for (const name of ['n0', 'n1']) {
    const [later, earlier] = [`undo ${name} again (before ${name} again)`, `undo ${name} (before ${name})`];
    expect(undone.indexOf(later)).toBeLessThan(undone.indexOf(earlier));
  }
  const { states } = await bench.store.snapshot(run);
  expect(states.filter((state) => state === 'undone')).toHaveLength(5);
  expect(await bench.store.examine(run)).toEqual([]);
});

test('undo is refused up front, by name, where the way crosses a point of no return', async () => {
  const run = await start(
    'steps: [{ task: word.act, id: one, with: { word: x } }, { task: word.burn, id: burn }, { task: word.wait, id: wait }]\n',
  );
  expect(await waitUntil(async () => acts.includes('burn'), limitMs)).toBe(true);
  await expect(control().undo(run, ann)).rejects.toMatchObject({
    code: 'UNDO_REFUSED',
    message: expect.stringContaining('burn'),
  });
  expect(acts).toEqual(['do x', 'burn']);
  expect((await bench.store.brief(run)).state).toBe('running');
});
