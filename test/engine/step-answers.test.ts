import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { createControl } from '../../src/engine/control.ts';
import type { Store } from '../../src/engine/store.ts';
import type { Answer } from '../../src/index.ts';
import { type Risk, task } from '../../src/task/task.ts';
import { chainOf } from './plans.ts';
import { type Bench, openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

/** A task whose every part the test sets; `during` comes in the middle of the act. */
interface World {
  isDone: Answer;
  blockers: Error | undefined;
  acts: number;
  during: () => Promise<void>;
}
const notYet: Answer = { waitingFor: 'it is there' };
const newWorld = (): World => ({
  isDone: notYet,
  blockers: undefined,
  acts: 0,
  during: async () => undefined,
});

const deed = (world: World, risk: Risk, more: object = {}) =>
  task({
    name: 'thing.remove',
    summary: 'Remove',
    risk,
    params: {},
    done: async () => world.isDone,
    blockers: async () => {
      if (world.blockers) throw world.blockers;
      return [];
    },
    run: async () => {
      world.acts += 1;
      await world.during();
    },
    ...more,
  });
const step = { id: 'deed', task: 'thing.remove' };
const approve = (run: string, by: string) =>
  rig.store.decide(run, 0, { verdict: 'approved', by, comment: '' });
const refusal = (asked: Promise<unknown>) =>
  asked.then(
    () => 'not refused',
    (thrown: Error) => thrown.message,
  );

const missing = () => new CephflowError('NODE_UNSUITABLE', '1 of 2 devices', { hint: 'plug one in' });

async function dieWhileActing(run: string): Promise<void> {
  await rig.store.acting(await rig.claim(run, 0));
  await rig.fire(run, 0);
  expect(await rig.states(run)).toBe('?');
}
const questionOf = async (bench: Bench, run: string) => (await bench.view(run)).waiting?.question;

test('answers: a question whose cause is gone cannot be answered once the act is under way', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'destroys-data')]);
  const run = await bench.start([step]);
  world.blockers = missing();
  await bench.deliver(run);
  expect(await questionOf(bench, run)).toMatch(/^1 of 2 devices/);
  world.blockers = undefined;
  await rig.fire(run, 0);
  const held = await rig.claim(run, 0);
  expect(await rig.store.acting(held)).toBe('accepted');
  // ann answers the old question while the act is under way; then the worker dies
  expect(await refusal(approve(run, 'ann'))).toContain('the step asks nothing: it is running');
  await rig.fire(run, 0);
  await bench.deliver(run);
  expect(world.acts).toBe(0);
  expect(await questionOf(bench, run)).toContain('its end is not known');
  await approve(run, 'ann');
  await bench.deliver(run);
  expect(world.acts).toBe(1);
});

test('answers: an answer given before the act began is none to the question how it ended', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'destroys-data')]);
  const run = await bench.start([step]);
  world.blockers = missing();
  await bench.deliver(run);
  await rig.fire(run, 0);
  const held = await rig.claim(run, 0);
  await approve(run, 'ann');
  await rig.store.acting(held);
  await rig.fire(run, 0);
  await bench.deliver(run);
  // ann's answer had woken the step: it is looked at once more
  await bench.deliver(run);
  expect(world.acts).toBe(0);
  expect(await questionOf(bench, run)).toContain('its end is not known');
});

test('answers: to go on waiting is not to do an unknown act again', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'destroys-data')]);
  const run = await bench.start([{ ...step, timeout: { afterMs: 0, outcome: 'ask' } }]);
  await dieWhileActing(run);
  bench.cluster.trouble = new CephflowError('CEPH_UNREACHABLE', 'no monitor answers');
  await bench.deliver(run);
  expect(await questionOf(bench, run)).toContain('approve to go on waiting');
  delete bench.cluster.trouble;
  await approve(run, 'ann');
  await bench.deliver(run);
  expect(world.acts).toBe(0);
  expect(await questionOf(bench, run)).toContain('its end is not known');
});

test('answers: a second approve of the same question does not shut the next one', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'destroys-data')]);
  const run = await bench.start([step]);
  await dieWhileActing(run);
  await bench.deliver(run);
  await approve(run, 'ann');
  let second = '';
  world.during = async () => {
    second = await refusal(approve(run, 'bob'));
    throw missing();
  };
  await bench.deliver(run);
  expect(second).toContain('the step asks nothing: it is running');
  expect(await questionOf(bench, run)).toMatch(/^1 of 2 devices/);
  world.during = async () => undefined;
  expect(await refusal(approve(run, 'cleo'))).toBe('not refused');
  await bench.deliver(run);
  expect(world.acts).toBe(2);
});

test('answers: an answer to a question that was replaced meanwhile is dropped, not kept for the next', async () => {
  const run = await rig.store.createRun(chainOf(1), { by: 'root' });
  const ask = (question: string) => ({ untilMs: null, waiting: { reason: 'x', question } });
  await rig.store.park(await rig.claim(run, 0), ask('Is it dark?'));
  await rig.store.wake(run, 0);
  const held = await rig.claim(run, 0);
  await approve(run, 'ann');
  await rig.store.park(held, ask('Is it light?'));
  expect((await rig.claim(run, 0)).decision).toBeUndefined();
  expect(await refusal(approve(run, 'bob'))).toBe('not refused');
});

test('answers: an act of a person that the connection sends twice is done once, and not refused', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'destroys-data')]);
  const run = await bench.start([step]);
  await dieWhileActing(run);
  await bench.deliver(run);
  const twice: Store = {
    ...rig.store,
    decide: async (...asked) => {
      await rig.store.decide(...asked);
      await rig.store.decide(...asked);
    },
    skip: async (...asked) => {
      await rig.store.skip(...asked);
      await rig.store.skip(...asked);
    },
    abort: async (...asked) => {
      await rig.store.abort(...asked);
      await rig.store.abort(...asked);
    },
  };
  const control = createControl(twice);
  await control.approve({ run, step: 'deed' }, { by: 'ann' });
  await control.abort(run, { by: 'ann' });
  await control.skip({ run, step: 'deed' }, { by: 'ann' });
  expect((await rig.store.audit(run)).map(({ act }) => act)).toEqual(['start', 'decide', 'abort', 'skip']);
});
