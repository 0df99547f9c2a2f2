import { expect, test } from 'vitest';
import { createContext } from '../../src/engine/store-context.ts';
import { advanceAll, sweepAll } from '../../src/engine/store-flow.ts';
import { sliceOf } from '../../src/engine/store-shape.ts';
import { chainOf, planOf } from './plans.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();
const me = { by: 'anna', reason: 'because' };
const error = { code: 'COMMAND_FAILED', message: 'it broke' } as const;
const failed = { state: 'failed', error } as const;
/** More steps than one script cancels. */
const many = 450;
const wide = (more = {}) =>
  planOf(
    Array.from({ length: many }, (_, i) => ({ id: `s${i}` })),
    more,
  );
const context = () => createContext(rig.redis, { prefix: rig.prefix });
const abortBegins = (run: string) => context().call('control', run, ['abort', '', 'anna', '', '', '', '']);

test('a first step of a queue or priority of its own is sent to that queue, before the others', async () => {
  const steps = [{ id: 'a' }, { id: 'b', priority: 5, queue: 'fast' }];
  const run = await rig.store.createRun(planOf(steps), me);
  expect(await rig.store.takeReady(run)).toMatchObject([{ step: 1, queue: 'fast' }, { step: 0 }]);
});

test('a run that starts late and has a failed step waits for a person', async () => {
  const plan = planOf([{ id: 'a' }], { locks: [{ name: 'osd-1', capacity: 1 }] });
  const first = await rig.store.createRun(plan, me);
  const second = await rig.store.createRun(plan, { ...me, waits: true });
  await rig.store.mark(second, 0, 'failed', me);
  await rig.pass(first, 0);
  expect(await rig.runState(second)).toBe('failed');
});

test('a step that fails while the rest of a large run is being cancelled is counted once', async () => {
  const run = await rig.store.createRun(wide(), me);
  const [late, busy] = [await rig.claim(run, many - 1), await rig.claim(run, many - 2)];
  await abortBegins(run);
  await rig.store.complete(late, { ...failed, acted: true });
  await sweepAll(context(), run);
  expect(await rig.runState(run)).toBe('aborting');
  await rig.store.complete(busy, { state: 'succeeded', acted: true });
  expect(await rig.runState(run)).toBe('aborted');
});

test('a failed step of a run that is undone is counted once when that is aborted', async () => {
  const run = await rig.store.createRun(planOf([{ id: 'a' }, { id: 'b' }]), me);
  await rig.pass(run, 0, failed);
  const busy = await rig.claim(run, 1);
  await rig.store.undo(run, me);
  await rig.store.abort(run, me);
  expect(await rig.runState(run)).toBe('aborting');
  await rig.store.complete(busy, { state: 'succeeded', acted: true });
  expect(await rig.runState(run)).toBe('aborted');
});

test('what failed before a run is undone is not tried again, nor skipped', async () => {
  const run = await rig.store.createRun(planOf([{ id: 'a' }, { id: 'b' }]), me);
  await rig.pass(run, 0, failed);
  await rig.store.undo(run, me);
  const refusal = { code: 'CONTROL_REFUSED' };
  await expect(rig.store.retry(run, 0, me)).rejects.toMatchObject(refusal);
  await expect(rig.store.retry(run, undefined, me)).rejects.toMatchObject(refusal);
  await expect(rig.store.skip(run, 0, me)).rejects.toMatchObject(refusal);
  expect(await rig.store.examine(run)).toEqual([]);
});

const back = { kind: 'undo', undoes: 0 } as const;
const states = async (run: string) => (await rig.store.snapshot(run)).views.map(({ state }) => state);

test('an undo that somebody says is done has taken its step back, one said to have failed has not', async () => {
  const steps = [{ id: 'a' }, { id: 'a.undo', ...back }, { id: 'b' }];
  const run = await rig.store.createRun(planOf(steps), me);
  await rig.pass(run, 0);
  await rig.store.acting(await rig.claim(run, 1), 0);
  expect((await states(run))[0]).toBe('undoing');
  await rig.fire(run, 1);
  await rig.store.mark(run, 1, 'failed', me);
  expect((await states(run))[0]).toBe('undo-failed');
  await rig.store.mark(run, 1, 'done', me);
  expect(await states(run)).toEqual(['undone', 'succeeded', 'ready']);
  expect(await rig.store.examine(run)).toEqual([]);
});

test('an undo that is skipped leaves its step as it is: half taken back, or not at all', async () => {
  const steps = [{ id: 'a' }, { id: 'b' }, { id: 'a.undo', ...back }, { id: 'b.undo', ...back, undoes: 1 }];
  const run = await rig.store.createRun(planOf(steps), me);
  await rig.pass(run, 0);
  await rig.pass(run, 1);
  await rig.store.acting(await rig.claim(run, 2), 0);
  await rig.fire(run, 2);
  await rig.store.skip(run, 2, me);
  await rig.store.skip(run, 3, me);
  expect(await states(run)).toEqual(['undo-failed', 'succeeded', 'skipped', 'skipped']);
});

test('a paused run that is aborted goes on with the steps at its end', async () => {
  const steps = [
    { id: 'x', part: 'finally' as const },
    { id: 'y', part: 'finally' as const },
  ];
  const run = await rig.store.createRun(planOf(steps), me);
  const held = await rig.claim(run, 0);
  await rig.store.pause(run, me);
  expect(await rig.steps(run)).toEqual([]);
  expect(await rig.store.acting(held)).toBe('paused');
  await rig.store.park(held, { untilMs: null, waiting: { reason: 'the run is paused' } });
  await rig.store.abort(run, me);
  expect(await rig.store.runsToDispatch()).toEqual([run]);
  expect(await rig.steps(run)).toEqual([0, 1]);
});

test('nothing is done once more when the steps at the end have begun', async () => {
  const ends = [
    { id: 'x', part: 'finally' as const },
    { id: 'y', part: 'finally' as const, after: [1] },
  ];
  const run = await rig.store.createRun(planOf([{ id: 'a' }, ...ends]), me);
  await rig.pass(run, 0);
  await expect(rig.store.redo(run, 0, me)).rejects.toThrow('its last steps are under way');
});

test('nothing is done once more that counts on a step whose followers are being counted', async () => {
  const followers = 600;
  const all = Array.from({ length: followers }, (_, i) => ({ id: `f${i}`, after: [0, 1] }));
  const run = await rig.store.createRun(planOf([{ id: 'a' }, { id: 'b' }, ...all]), me);
  await rig.pass(run, 1);
  const { token } = await rig.claim(run, 0);
  const shared = context();
  const { shape } = await shared.view(run);
  const slice = sliceOf(shape, 0, 0);
  const end = ['s', '', '', '0', slice.list, slice.next, '', '', 500, '', '', '', '', ''];
  await shared.step(run, 'complete', [0, token, ...end]);
  expect(slice.next).not.toBe('');
  expect(await rig.store.examine(run)).toEqual([]);
  await expect(rig.store.redo(run, 1, me)).rejects.toThrow('has just ended');
  await advanceAll(shared, run, 0, slice.next);
  expect(await rig.store.redo(run, 1, me)).toBeGreaterThan(1);
  expect(await rig.store.examine(run)).toEqual([]);
  expect((await rig.states(run)).slice(0, 4)).toBe('srpp');
});

test('a run that is being cancelled slice by slice is whole at every moment', async () => {
  const ends = [{ id: 'x', part: 'finally' as const }];
  const steps = [...wide().steps.map(({ id }) => ({ id })), ...ends];
  const run = await rig.store.createRun(planOf(steps), me);
  await rig.pass(run, many - 1, failed);
  await abortBegins(run);
  expect(await rig.store.examine(run)).toEqual([]);
  await sweepAll(context(), run);
  expect(await rig.store.examine(run)).toEqual([]);
  await rig.pass(run, many);
  expect(await rig.runState(run)).toBe('aborted');
});

test('a chain is whole from its start to its end', async () => {
  const run = await rig.store.createRun(chainOf(3), me);
  for (const step of [0, 1, 2]) {
    await rig.pass(run, step);
    expect(await rig.store.examine(run)).toEqual([]);
  }
  expect(await rig.store.examine('')).toEqual([]);
});
