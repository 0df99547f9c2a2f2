import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { type Answer, text } from '../../src/index.ts';
import { task } from '../../src/task/task.ts';
import { type Bench, openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

/** What the tasks of a test look at and change. */
interface World {
  isDone: Answer;
  acts: number;
  blockers: string[];
  onRun?: () => unknown;
}
const newWorld = (): World => ({ isDone: { waitingFor: 'the lamp is off' }, acts: 0, blockers: [] });

const lampTask = (world: World, more: object = {}) =>
  task({
    name: 'lamp.light',
    summary: 'Light a lamp',
    risk: 'changes',
    params: {},
    done: async () => world.isDone,
    blockers: async () => world.blockers,
    run: async () => {
      world.acts += 1;
      return world.onRun?.();
    },
    ...more,
  });
const lamp = { id: 'lamp', task: 'lamp.light' };

test('step: what is done already is not done again', async () => {
  const world = { ...newWorld(), isDone: true as const };
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([lamp]);
  await bench.deliver(run);
  const { state, acted } = await bench.view(run);
  expect({ state, acted }).toEqual({ state: 'succeeded', acted: undefined });
  expect(world.acts).toBe(0);
});

test('step: acts once, then waits until it has taken effect, without acting again', async () => {
  const world = newWorld();
  const bench = openBench(rig, [lampTask(world, { output: { watts: 'Power' } })]);
  world.onRun = () => ({ watts: 40 });
  const run = await bench.start([lamp]);
  await bench.deliver(run);
  await bench.again(run);
  expect(await bench.view(run)).toMatchObject({ state: 'waiting', waiting: { reason: 'the lamp is off' } });
  world.isDone = true;
  await bench.again(run);
  expect(await bench.view(run)).toMatchObject({ state: 'succeeded', acted: true, output: { watts: 40 } });
  expect(world.acts).toBe(1);
});

test('step: waits with its blockers shown, and acts when they are gone', async () => {
  const world = { ...newWorld(), blockers: ['backfill is forbidden', 'a mon is down'] };
  world.onRun = () => {
    world.isDone = true;
  };
  const bench = openBench(rig, [lampTask(world, { poll: '7s' })]);
  const run = await bench.start([lamp]);
  await bench.deliver(run);
  const { waiting } = await bench.view(run);
  expect(waiting?.reason).toBe('backfill is forbidden; a mon is down');
  const { nowMs } = await rig.store.snapshot(run);
  expect((waiting?.nextAskMs ?? 0) - nowMs).toBeLessThanOrEqual(7000);
  expect(world.acts).toBe(0);
  world.blockers = [];
  await bench.again(run);
  expect(await bench.view(run)).toMatchObject({ state: 'succeeded', acted: true });
});

test('step: a chain is carried out in one go, a barrier in between', async () => {
  const order: string[] = [];
  const note = task({
    name: 'note.write',
    summary: 'Write',
    risk: 'changes',
    params: { word: text('Word') },
    run: async ({ word }) => {
      order.push(word);
    },
  });
  const bench = openBench(rig, [note]);
  const run = await bench.start([
    { id: 'a', task: 'note.write', with: { word: 'a' } },
    { id: 'join', kind: 'barrier', after: [0] },
    { id: 'b', task: 'note.write', with: { word: 'b' }, after: [1] },
  ]);
  await bench.deliver(run);
  expect(order).toEqual(['a', 'b']);
  expect(await rig.runState(run)).toBe('succeeded');
});

test('step: fills in what an earlier step returned, and skips what its condition excludes', async () => {
  const seen: string[] = [];
  const find = task({
    name: 'disk.find',
    summary: 'Find',
    risk: 'changes',
    params: {},
    output: { device: 'Path' },
    run: async () => ({ device: '/dev/sdb' }),
  });
  const use = task({
    name: 'disk.use',
    summary: 'Use',
    risk: 'changes',
    params: { device: text('Path') },
    run: async ({ device }) => {
      seen.push(device);
    },
  });
  const bench = openBench(rig, [find, use]);
  const late = { device: { $expression: 'steps["find"].output.device' } };
  const run = await bench.start([
    { id: 'find', task: 'disk.find' },
    { id: 'use', task: 'disk.use', with: late, after: [0] },
    { id: 'no', task: 'disk.use', with: late, when: 'steps["find"].output.device == "x"', after: [1] },
  ]);
  await bench.deliver(run);
  expect(seen).toEqual(['/dev/sdb']);
  expect(await rig.states(run)).toBe('ssk');
});

test('step: a wait is over only after so many good answers in a row', async () => {
  const world = newWorld();
  let asked = 0;
  const wait = task({
    name: 'lamp.wait',
    summary: 'Wait',
    risk: 'reads',
    params: {},
    settle: { polls: 3, over: '1ms' },
    done: async () => {
      asked += 1;
      return world.isDone;
    },
  });
  const bench = openBench(rig, [wait]);
  const run = await bench.start([{ id: 'wait', task: 'lamp.wait' }]);
  world.isDone = true;
  await bench.deliver(run);
  await bench.again(run);
  expect((await bench.view(run)).waiting?.reason).toBe('settling: 2 of 3 good answers over 1ms');
  world.isDone = { waitingFor: 'flickers' };
  await bench.again(run);
  world.isDone = true;
  await bench.again(run);
  await bench.again(run);
  expect((await bench.view(run)).state).toBe('waiting');
  await bench.again(run);
  expect((await bench.view(run)).state).toBe('succeeded');
  expect(asked).toBe(6);
});

/** Let the wait be asked again; its question to a person, if there is one by now. */
async function asksAgain(bench: Bench, run: string): Promise<string> {
  await bench.again(run);
  return (await bench.view(run)).waiting?.question ?? 'none yet';
}

test('step: no progress for long is asked of a person, and approving goes on waiting', async () => {
  const world = newWorld();
  world.isDone = { waitingFor: '12 PGs', progress: { value: 12, target: 0, unit: 'PGs' } };
  const wait = task({
    name: 'lamp.wait',
    summary: 'Wait',
    risk: 'reads',
    params: {},
    stall: '300ms',
    done: async () => world.isDone,
  });
  const bench = openBench(rig, [wait]);
  const run = await bench.start([{ id: 'wait', task: 'lamp.wait' }]);
  await bench.deliver(run);
  expect((await bench.view(run)).waiting?.question).toBeUndefined();
  await expect
    .poll(() => asksAgain(bench, run))
    .toMatch(
      /^no progress for \d+s \(12 PGs\): approve to go on waiting as long again, or skip the step, or abort the run$/,
    );
  for (const by of ['eve', 'bob']) {
    await rig.store.decide(run, 0, { verdict: 'approved', by, comment: '' });
    world.isDone = { waitingFor: '9 PGs', progress: { value: 9, target: 0, unit: 'PGs' } };
    await bench.deliver(run);
    expect((await bench.view(run)).state).toBe('waiting');
    await expect.poll(() => asksAgain(bench, run)).toMatch(/no progress/);
  }
  await rig.store.decide(run, 0, { verdict: 'rejected', by: 'ann', comment: 'enough' });
  await bench.deliver(run);
  expect((await bench.view(run)).error).toMatchObject({
    code: 'REJECTED',
    message: 'ann rejected going on with wait: enough',
  });
});

test('step: a time limit fails the step, or asks', async () => {
  const world = newWorld();
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([
    { ...lamp, timeout: { afterMs: 0, outcome: 'fail' } },
    { ...lamp, id: 'two', timeout: { afterMs: 0, outcome: 'ask' } },
  ]);
  await bench.deliver(run, 0);
  const { state, error } = await bench.view(run, 0);
  expect(state).toBe('failed');
  expect(error).toMatchObject({
    code: 'STEP_TIMED_OUT',
    message: 'lamp has not finished within 0s: the lamp is off',
  });
  await bench.deliver(run, 1);
  expect((await bench.view(run, 1)).waiting?.question).toBe(
    'two has not finished within 0s and has not been done: approve to go on, or skip the step, or abort the run',
  );
  expect(world.acts).toBe(1);
});

test('step: a system that does not answer is a wait with its reason, and fails nothing', async () => {
  const world = newWorld();
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([lamp]);
  bench.cluster.trouble = new CephflowError('CEPH_UNREACHABLE', 'no monitor answers');
  await bench.deliver(run);
  await bench.again(run);
  expect(await bench.view(run)).toMatchObject({
    state: 'waiting',
    waiting: { reason: 'CEPH_UNREACHABLE: no monitor answers' },
  });
  delete bench.cluster.trouble;
  await bench.again(run);
  expect(world.acts).toBe(1);
});

test('step: another cluster under the same name is not touched', async () => {
  const world = newWorld();
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([lamp]);
  bench.cluster.fsid = 'other';
  await bench.deliver(run);
  expect((await bench.view(run)).error).toMatchObject({
    code: 'CLUSTER_MISMATCH',
    message: 'lab is not the cluster this plan was made for: its fsid is other, planned f51d',
    hint: 'nothing was changed; look at clusters.lab in the config of worker worker-1',
  });
  expect(world.acts).toBe(0);
  expect(await rig.runState(run)).toBe('failed');
});

test('step: an act that fails is tried again with growing pauses, then fails', async () => {
  const world = newWorld();
  world.onRun = () => {
    throw new CephflowError('SSH_UNREACHABLE', 'node-1 does not answer', {
      command: { host: 'node-1', words: ['systemctl', 'stop'], exitCode: 255, stderr: 'timed out' },
    });
  };
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([{ ...lamp, retry: { attempts: 3, delayMs: 60_000 } }]);
  const pauses: number[] = [];
  for (let left = 2; left > 0; left -= 1) {
    await bench.deliver(run);
    const { nowMs } = await rig.store.snapshot(run);
    pauses.push(Math.round((((await bench.view(run)).waiting?.nextAskMs ?? 0) - nowMs) / 60_000));
    await rig.fire(run, 0);
  }
  expect(pauses).toEqual([1, 2]);
  await bench.deliver(run);
  const { state, error } = await bench.view(run);
  expect(state).toBe('failed');
  expect(error?.detail).toBe(
    'SSH_UNREACHABLE  node-1 does not answer\n  on node-1: systemctl stop  (exit 255)\n    timed out',
  );
  expect(world.acts).toBe(3);
});

test('step: a missing device is asked of a person; approving tries again', async () => {
  const world = newWorld();
  world.onRun = () => {
    if (world.acts < 3) throw new CephflowError('NODE_UNSUITABLE', '1 of 2 devices', { hint: 'plug one in' });
    world.isDone = true;
  };
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([lamp]);
  await bench.deliver(run);
  for (const by of ['ann', 'bob']) {
    await bench.again(run);
    expect((await bench.view(run)).waiting?.question).toBe(
      '1 of 2 devices (plug one in): approve to try again, or skip the step, or abort the run',
    );
    await rig.store.decide(run, 0, { verdict: 'approved', by, comment: '' });
    await bench.deliver(run);
  }
  expect(await bench.view(run)).toMatchObject({ state: 'succeeded', acted: true });
  expect(world.acts).toBe(3);
});

test('step: output that lacks a declared name is a defect of the task, told after the act', async () => {
  const world = newWorld();
  world.onRun = () => ({ volts: 230 });
  const bench = openBench(rig, [lampTask(world, { output: { watts: 'Power' } })]);
  const run = await bench.start([lamp]);
  await bench.deliver(run);
  expect((await bench.view(run)).error?.message).toBe(
    'task lamp.light has run, but its output is wrong: it does not hold watts, which the task declares',
  );
});

test('step: a task that waits for a person goes on with the answer', async () => {
  const confirm = task({
    name: 'person.ask',
    summary: 'Ask',
    risk: 'reads',
    params: {},
    done: async (_values, { decision }) =>
      decision?.verdict === 'approved' || { waitingFor: 'a person', question: 'Is it plugged in?' },
  });
  const bench = openBench(rig, [confirm]);
  const run = await bench.start([{ id: 'ask', task: 'person.ask' }]);
  await bench.deliver(run);
  expect((await bench.view(run)).waiting?.question).toBe('Is it plugged in?');
  await rig.store.decide(run, 0, { verdict: 'approved', by: 'ann', comment: '' });
  await bench.deliver(run);
  expect((await bench.view(run)).state).toBe('succeeded');
});

test('step: without the task file that the plan pinned, the step says so and waits', async () => {
  const world = newWorld();
  const bench = openBench(rig, [lampTask(world)]);
  const run = await bench.start([lamp], { tasks: { 'lamp.light': 'ffffffffffffffffffff' } });
  await bench.deliver(run);
  expect((await bench.view(run)).waiting?.reason).toBe('no worker has lamp.light@ffffffffffff');
  expect(world.acts).toBe(0);
});
