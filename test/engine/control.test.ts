import { describe, expect, test } from 'vitest';
import { type CephflowError, describeError } from '../../src/base/errors.ts';
import { createControl } from '../../src/engine/control.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Actor, Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import type { UndoRequest } from '../../src/plan/undo.ts';
import { chainOf, planOf } from './plans.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

const ann: Actor = { by: 'ann@adm1 (pts/1)', reason: 'looked' };
const bob: Actor = { by: 'bob@adm2', reason: 'enough' };

const library = new Map([
  ['osd.reweight', { run: async () => undefined, undo: async () => undefined }],
  ['osd.purge', { run: async () => undefined }],
  ['cluster.healthy', {}],
]) as unknown as UndoRequest['tasks'];

/** Control of the test's store, and the runs that it has sent for. */
function controlOf(store: Store = rig.store) {
  const sent: string[] = [];
  const control = createControl(store, { dispatch: (run) => sent.push(run), tasks: async () => library });
  return { control, sent };
}

/** What an act was refused with, as people read it; runs are written as RUN. */
async function refusal(run: string, asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (thrown) {
    return describeError(thrown as CephflowError).replaceAll(run, 'RUN');
  }
  return 'not refused';
}

const acts = async (run: string) =>
  (await rig.store.audit(run)).map(({ act, by, reason = '' }) => `${act} by ${by}: ${reason}`);

/** Carry a step out, as a worker does. */
async function act(run: string, step: number): Promise<void> {
  const grant = await rig.claim(run, step);
  expect(await rig.store.acting(grant)).toBe('accepted');
  await rig.store.complete(grant, { state: 'succeeded', acted: true });
}

async function ask(run: string, step: number): Promise<void> {
  const waiting = { reason: 'a person', question: 'Is the disk in?' };
  await rig.store.park(await rig.claim(run, step), { untilMs: null, waiting });
}

/** A run that asks something which only ann and cleo may answer. */
async function askingRun(): Promise<string> {
  const steps = [
    { id: 'swapped', approvers: ['ann', 'cleo'] },
    { id: 'go', after: [0] },
  ];
  const run = await rig.store.createRun(planOf(steps), ann);
  await ask(run, 0);
  return run;
}

describe('who may decide', () => {
  const stranger = [
    'APPROVER_REQUIRED  swapped of run RUN is for ann or cleo to decide, not for bob@adm2',
    '  nothing was changed; ask ann or cleo to type it',
  ].join('\n');

  test('nobody but the step’s approvers approves, rejects, skips it or marks it as done', async () => {
    const { control } = controlOf();
    const run = await askingRun();
    const name = { run, step: 'swapped' };
    for (const asked of [
      () => control.approve(name, bob),
      () => control.reject(name, bob),
      () => control.skip(name, bob),
      () => control.mark(name, 'done', bob),
    ]) {
      expect(await refusal(run, asked())).toBe(stranger);
    }
    expect(await acts(run)).toEqual(['start by ann@adm1 (pts/1): looked']);
    expect(await rig.states(run)).toBe('wp');
  });

  test('an approver does, from any machine and terminal; somebody else may say that it has failed', async () => {
    const { control, sent } = controlOf();
    const run = await askingRun();
    await control.approve({ run, step: 'swapped' }, ann);
    expect(await rig.states(run)).toBe('rp');
    expect(sent).toEqual([run]);
    const other = await askingRun();
    await control.mark({ run: other, step: 'swapped' }, 'failed', bob);
    expect(await rig.states(other)).toBe('fp');
  });

  test('a user’s name may hold an @', async () => {
    const { control } = controlOf();
    const run = await rig.store.createRun(planOf([{ id: 'a', approvers: ['ann@corp'] }]), ann);
    await ask(run, 0);
    const asked = control.approve({ run, step: 'a' }, { by: 'ann@adm1' });
    expect(await refusal(run, asked)).toMatch(/^APPROVER_REQUIRED/);
    await control.approve({ run, step: 'a' }, { by: 'ann@corp@adm1 (tty1)' });
    expect(await rig.states(run)).toBe('r');
  });

  test('without approvers everybody may', async () => {
    const { control } = controlOf();
    const run = await rig.store.createRun(chainOf(1), ann);
    await ask(run, 0);
    await control.reject({ run, step: 's0' }, bob);
    expect(await acts(run)).toContain('decide by bob@adm2: rejected enough');
  });
});

describe('two people at once', () => {
  /** Another process: a connection of its own. */
  async function elsewhere() {
    const socket = rig.redis.options.path ?? '';
    const store = await openStore(await connectRedis(socket, 'producer'), { prefix: rig.prefix });
    return { store, control: controlOf(store).control };
  }

  test('one approves, the other rejects: one wins, and the audit says who', async () => {
    const other = await elsewhere();
    for (let round = 0; round < 20; round += 1) {
      const run = await rig.store.createRun(chainOf(1), ann);
      await ask(run, 0);
      const name = { run, step: 's0' };
      const answers = await Promise.all([
        refusal(run, controlOf().control.approve(name, ann)),
        refusal(run, other.control.reject(name, bob)),
      ]);
      const [winner, loser] = answers[0] === 'not refused' ? [ann, answers[1]] : [bob, answers[0]];
      const verdict = winner === ann ? 'approved' : 'rejected';
      expect(loser).toContain(`${winner.by} has ${verdict} it already`);
      expect(await acts(run)).toEqual([
        'start by ann@adm1 (pts/1): looked',
        `decide by ${winner.by}: ${verdict} ${winner.reason}`,
      ]);
    }
    await other.store.close();
  });

  test('one approves, the other aborts: the step is given up, and an approval that came late is refused', async () => {
    const other = await elsewhere();
    for (let round = 0; round < 20; round += 1) {
      const run = await rig.store.createRun(planOf([{ id: 's0' }, { id: 'f', part: 'finally' }]), ann);
      await ask(run, 0);
      const [approval, abort] = await Promise.all([
        refusal(run, controlOf().control.approve({ run, step: 's0' }, ann)),
        refusal(run, other.control.abort(run, bob)),
      ]);
      expect(abort).toBe('not refused');
      expect(await rig.states(run)).toBe('cr');
      const approved = `decide by ${ann.by}: approved looked`;
      const before = approval === 'not refused' ? [approved] : [];
      expect(await acts(run)).toEqual([
        'start by ann@adm1 (pts/1): looked',
        ...before,
        'abort by bob@adm2: enough',
      ]);
    }
    await other.store.close();
  });

  test('an approval after an abort says what has become of the step', async () => {
    const { control } = controlOf();
    const run = await rig.store.createRun(planOf([{ id: 's0' }, { id: 'f', part: 'finally' }]), ann);
    await ask(run, 0);
    await control.abort(run, bob);
    expect(await refusal(run, control.approve({ run, step: 's0' }, ann))).toBe(
      [
        'CONTROL_REFUSED  cannot decide step 0 of run RUN: the step asks nothing: it is cancelled',
        '  `cephflow show RUN` tells its state',
      ].join('\n'),
    );
  });
});

describe('a whole run', () => {
  test('paused and resumed: each once, with who and why, and sent for', async () => {
    const { control, sent } = controlOf();
    const run = await control.startRun(chainOf(2), ann);
    await control.pause(run, { ...ann, request: 'r1' });
    await control.pause(run, { ...ann, request: 'r1' });
    expect(await rig.runState(run)).toBe('paused');
    await control.resume(run, { ...bob, request: 'r2' });
    await control.resume(run, { ...bob, request: 'r2' });
    expect(await rig.runState(run)).toBe('running');
    expect(await acts(run)).toEqual([
      'start by ann@adm1 (pts/1): looked',
      'pause by ann@adm1 (pts/1): looked',
      'resume by bob@adm2: enough',
    ]);
    expect(new Set(sent)).toEqual(new Set([run]));
  });

  test('killed: its holds stay, its locks do not', async () => {
    const { control } = controlOf();
    const locks = [{ name: 'node/n1', capacity: 1 }];
    const run = await control.startRun(planOf([{ id: 'a' }], { locks }), ann);
    const grant = await rig.claim(run, 0);
    await rig.store.acting(grant);
    await rig.store.recordHold(grant, { renewMs: Date.now(), expiresMs: Date.now() + 60_000 });
    await control.kill(run, bob);
    expect(await refusal(run, control.kill(run, bob))).toContain(
      'the run is over: it ended with something left over',
    );
    expect(await rig.runState(run)).toBe('left-over');
    expect((await control.snapshot(run)).holds).toHaveLength(1);
    expect(await control.locks()).toEqual([]);
    expect((await acts(run)).at(-1)).toBe('kill by bob@adm2: enough');
  });
});

describe('steps', () => {
  test('marked as done, a step lets what follows go on; marked as failed, it waits for a person', async () => {
    const { control } = controlOf();
    const run = await control.startRun(chainOf(2), ann);
    await ask(run, 0);
    const name = { run, step: 's0' };
    await control.mark(name, 'failed', { ...bob, request: 'r' });
    await control.mark(name, 'failed', { ...bob, request: 'r' });
    expect(await rig.runState(run)).toBe('failed');
    await control.mark(name, 'done', ann);
    expect(await rig.states(run)).toBe('sr');
    expect((await acts(run)).slice(1)).toEqual([
      'mark-failed by bob@adm2: enough',
      'mark-done by ann@adm1 (pts/1): looked',
    ]);
  });

  test('a step and all that follows is done once more', async () => {
    const { control } = controlOf();
    const run = await control.startRun(chainOf(3), ann);
    await rig.pass(run, 0);
    await rig.pass(run, 1);
    expect(await control.redo({ run, step: 's0' }, ann)).toBe(3);
    expect(await rig.states(run)).toBe('rpp');
    expect((await acts(run)).at(-1)).toMatch(/ by ann@adm1 \(pts\/1\): looked$/);
    expect(await refusal(run, control.redo({ run, step: 's9' }, ann))).toMatch(/^STEP_UNKNOWN/);
  });
});

describe('taking a run back', () => {
  const plan = () =>
    planOf([
      { id: 'look', task: 'cluster.healthy' },
      { id: 'drain', task: 'osd.reweight', title: 'Set the weight of osd.2 to 0', after: [0] },
      { id: 'drain-more', task: 'osd.reweight', title: 'Set the weight of osd.3 to 0', after: [1] },
      { id: 'purge', task: 'osd.purge', title: 'Remove osd.2', after: [2] },
      { id: 'purge-more', task: 'osd.purge', title: 'Remove osd.3', after: [2] },
    ]);

  test('the last comes first; what has not acted is not named', async () => {
    const { control } = controlOf();
    const run = await control.startRun(plan(), ann);
    expect(await control.undoSteps(run)).toEqual([]);
    for (const step of [0, 1, 2]) await act(run, step);
    const titles = (await control.undoSteps(run)).map(({ title }) => title);
    expect(titles).toEqual([
      'Take back: Set the weight of osd.3 to 0',
      'Take back: Set the weight of osd.2 to 0',
    ]);
    expect(await rig.runState(run)).toBe('running');
    await control.undo(run, { ...bob, request: 'r' });
    await control.undo(run, { ...bob, request: 'r' });
    expect(await rig.runState(run)).toBe('undoing');
    expect((await acts(run)).slice(1)).toEqual(['undo by bob@adm2: enough']);
  });

  test('is refused before anything is changed, and every step without a way back is named', async () => {
    const { control } = controlOf();
    const run = await control.startRun(plan(), ann);
    for (const step of [0, 1, 2, 3]) await act(run, step);
    // the act of this one has begun, and nobody knows yet how it ends
    await rig.store.acting(await rig.claim(run, 4));
    const refused = [
      'UNDO_REFUSED  run RUN cannot be taken back, 2 steps have no way back:',
      '  - purge: Remove osd.2',
      '  - purge-more: Remove osd.3',
      '  nothing was changed; `cephflow abort RUN` gives back what it holds and leaves the rest as it is',
    ].join('\n');
    expect(await refusal(run, control.undoSteps(run))).toBe(refused);
    expect(await refusal(run, control.undo(run, bob))).toBe(refused);
    expect(await rig.runState(run)).toBe('running');
    expect(await acts(run)).toHaveLength(1);
  });

  test('a task that this installation does not know has no way back', async () => {
    const run = await rig.store.createRun(plan(), ann);
    await act(run, 0);
    expect(await refusal(run, createControl(rig.store).undo(run, ann))).toContain('a step has no way back');
  });

  test('of a run that is over, or being aborted, is refused with the reason', async () => {
    const { control } = controlOf();
    const run = await control.startRun(planOf([{ id: 'a' }, { id: 'f', part: 'finally' }]), ann);
    await control.abort(run, ann);
    expect(await refusal(run, control.undoSteps(run))).toContain(
      'cannot undo run RUN: the run is being aborted',
    );
    await rig.pass(run, 1);
    expect(await refusal(run, control.undoSteps(run))).toContain(
      'cannot undo run RUN: the run is over: it aborted',
    );
  });
});

describe('locks', () => {
  const locks = [{ name: 'node/n1', capacity: 1 }];

  test('a run is refused while another holds its lock, or waits for it', async () => {
    const { control } = controlOf();
    const first = await control.startRun(planOf([{ id: 'a' }], { locks }), ann);
    const refused = await refusal(first, control.startRun(planOf([{ id: 'a' }], { locks }), bob));
    expect(refused).toMatch(/^LOCK_HELD {2}run RUN holds node\/n1/);
    const second = await control.startRun(planOf([{ id: 'a' }], { locks }), { ...bob, waits: true });
    expect(await rig.runState(second)).toBe('planned');
    expect(await control.locks()).toEqual([
      {
        name: 'node/n1',
        holders: [{ run: first, sinceMs: expect.any(Number) }],
        waiters: [{ run: second }],
      },
    ]);
    await rig.pass(first, 0);
    expect(await rig.runState(second)).toBe('running');
  });

  test('a lock that is taken away goes to who waits; once, and with who and why', async () => {
    const { control } = controlOf();
    const first = await control.startRun(planOf([{ id: 'a' }], { locks }), ann);
    const second = await control.startRun(planOf([{ id: 'a' }], { locks }), { ...bob, waits: true });
    const byBob = { ...bob, request: 'r' };
    expect(await control.unlock('node/n1', { run: first }, byBob)).toBe(true);
    expect(await control.unlock('node/n1', { run: first }, byBob)).toBe(true);
    expect(await rig.runState(second)).toBe('running');
    expect(await control.unlock('node/n1', { run: first }, bob)).toBe(false);
    expect((await acts(first)).slice(1)).toEqual(['unlock by bob@adm2: enough']);
    expect((await control.locks())[0]?.holders.map(({ run }) => run)).toEqual([second]);
  });
});
