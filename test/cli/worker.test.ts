import { expect, test } from 'vitest';
import { waitUntil } from '../../src/engine/processes.ts';
import { storeDesk } from './store-desk.ts';
import { startWorkerProcess } from './worker-child.ts';

const limitMs = 30_000;
const desk = storeDesk(
  () => 'clusters: { lab: {} }\nengine: { queues: [fast], retention: { succeeded: 1ms, other: 30d } }\n',
);

const becomes = (run: string, state: string) =>
  waitUntil(async () => (await desk.rig.runState(run)) === state, limitMs);

test('cephflow worker: serves the queues that --queue names, else those of the config', async () => {
  const fast = await desk.start([
    { id: 'join', kind: 'barrier' },
    { id: 'go', kind: 'barrier', queue: 'fast', after: [0] },
  ]);
  const usual = await desk.start([{ id: 'join', kind: 'barrier' }]);
  const endFirst = startWorkerProcess(desk.desk, desk.config, ['--queue', 'default', 'slow']);
  try {
    expect(await becomes(usual, 'succeeded')).toBe(true);
    expect(await waitUntil(async () => (await desk.rig.states(fast)) === 'sr', limitMs)).toBe(true);
  } finally {
    await endFirst();
  }
  const endSecond = startWorkerProcess(desk.desk, desk.config);
  try {
    expect(await becomes(fast, 'succeeded')).toBe(true);
  } finally {
    await endSecond();
  }
});

test('cephflow worker: throws away what ended longer ago than the config keeps it', async () => {
  const kept = await desk.start([{ id: 'join' }]);
  await desk.rig.store.kill(kept, { by: 'ann' });
  const old = await desk.start([{ id: 'join' }]);
  await desk.rig.pass(old, 0);
  const end = startWorkerProcess(desk.desk, desk.config);
  try {
    expect(await becomes(old, '')).toBe(true);
    expect(await desk.rig.runState(kept)).toBe('aborted');
  } finally {
    await end();
  }
});

test('cephflow worker: a queue has a name', async () => {
  expect(await desk.type('RUN', ['worker', '--queue', 'Fast'])).toMatchObject({
    code: 64,
    said: [
      "USAGE  option '--queue <names...>' argument 'Fast' is invalid. It must be lower-case letters, digits and hyphens, such as fast.",
      '  type cephflow worker --help',
    ],
  });
});
