import { describe, expect, test } from 'vitest';
import { short, storeDesk } from './store-desk.ts';

const desk = storeDesk();

describe('cephflow pause and resume', () => {
  test('say what they bring about, and are recorded', async () => {
    const run = await desk.start([{ id: 'a' }]);
    expect(await desk.type(run, ['pause', short(run), '--reason', 'switch reboot'])).toEqual({
      code: 0,
      stdout: '',
      said: [
        'run RUN is paused: what is under way ends, nothing new begins; go on with: cephflow resume RUN',
      ],
    });
    expect(await desk.lastAct(run)).toBe('pause by ada@HERE: switch reboot');
    const { stdout } = await desk.type(run, ['show', run]);
    expect(stdout).toContain(': PAUSED for ');
    expect(stdout).toContain('  go on:        cephflow resume RUN\n');
    expect(stdout).not.toContain('ready for a worker');
    expect(await desk.type(run, ['pause', run, '--reason', 'again'])).toMatchObject({
      code: 4,
      said: [
        'CONTROL_REFUSED  cannot pause run RUN: it is paused already',
        '  `cephflow show RUN` tells its state',
      ],
    });
    expect(await desk.type(run, ['resume', run])).toEqual({
      code: 0,
      stdout: '',
      said: ['run RUN goes on; follow with: cephflow watch RUN'],
    });
    expect(await desk.type(run, ['resume', run])).toEqual({
      code: 4,
      stdout: '',
      said: [
        'CONTROL_REFUSED  cannot resume run RUN: it is not paused: it is running',
        '  `cephflow show RUN` tells its state',
      ],
    });
  });

  test('a pause needs a reason', async () => {
    expect(await desk.type('RUN', ['pause', 'x'])).toMatchObject({
      code: 64,
      said: ['USAGE  cephflow pause needs --reason <text>', '  type cephflow pause --help'],
    });
  });
});

describe('cephflow approve', () => {
  test('is refused to who is not asked, and shows whom to ask', async () => {
    const run = await desk.start([{ id: 'swapped', approvers: ['ada', 'cleo'] }]);
    await desk.ask(run, 0);
    expect((await desk.type(run, ['show', run])).stdout).toContain('  who: only ada or cleo may answer\n');
    expect((await desk.type(run, ['show', run])).stdout).toContain('a person (for ada or cleo to decide)');
    expect(JSON.parse((await desk.type(run, ['show', run, '-o', 'json'])).stdout).steps[0].approvers).toEqual(
      ['ada', 'cleo'],
    );
    expect(await desk.type(run, ['approve', run], 'bob')).toEqual({
      code: 77,
      stdout: '',
      said: [
        'APPROVER_REQUIRED  swapped of run RUN is for ada or cleo to decide, not for bob@HERE',
        '  nothing was changed; ask ada or cleo to type it',
      ],
    });
    expect((await desk.type(run, ['approve', run, '--comment', 'slot 4'], 'cleo')).code).toBe(0);
    expect(await desk.lastAct(run)).toBe('decide by cleo@HERE: approved slot 4');
  });

  test('and abort at once: the late one is told, and the record says who did what', async () => {
    const run = await desk.start([{ id: 'swapped' }, { id: 'give-back', part: 'finally' }]);
    await desk.ask(run, 0);
    const [approval, abort] = await Promise.all([
      desk.type(run, ['approve', run, 'swapped'], 'ada'),
      desk.type(run, ['abort', run, '--reason', 'enough'], 'bob'),
    ]);
    expect(abort.code).toBe(0);
    expect(await desk.rig.states(run)).toBe('cr');
    const people = (await desk.rig.store.audit(run)).map(
      ({ act: name, by }) => `${name} ${by.split('@')[0]}`,
    );
    if (approval.code === 0) {
      expect(people).toEqual(['start ann', 'decide ada', 'abort bob']);
      return;
    }
    expect(people).toEqual(['start ann', 'abort bob']);
    expect(approval).toMatchObject({
      code: 4,
      said: [
        'CONTROL_REFUSED  cannot answer swapped of run RUN: the step asks nothing: it is cancelled',
        '  `cephflow show RUN` tells its state',
      ],
    });
  });
});

test('cephflow pause: a run that waits for its locks has nothing to pause', async () => {
  const locks = [{ name: 'node/n7', capacity: 1 }];
  await desk.start([{ id: 'a' }], { locks });
  const run = await desk.start([{ id: 'a' }], { locks }, true);
  expect((await desk.type(run, ['pause', run, '--reason', 'r'])).said).toEqual([
    'CONTROL_REFUSED  cannot pause run RUN: the run has not started: it waits for its locks',
    '  `cephflow show RUN` tells its state',
  ]);
});

describe('cephflow mark and retry', () => {
  test('mark says how a step ended', async () => {
    const run = await desk.start([{ id: 'a' }, { id: 'b', after: [0] }]);
    await desk.ask(run, 0);
    const words = ['mark', run, 'a', 'failed', '--reason', 'no light'];
    expect(await desk.type(run, words)).toEqual({
      code: 0,
      stdout: '',
      said: ['run RUN: a is marked as failed; follow with: cephflow watch RUN'],
    });
    expect(await desk.rig.runState(run)).toBe('failed');
    expect(await desk.type(run, words)).toMatchObject({
      code: 4,
      said: [
        'CONTROL_REFUSED  cannot mark as failed a of run RUN: the step is failed: it has failed already',
        '  `cephflow show RUN` tells its state',
      ],
    });
    expect((await desk.type(run, ['mark', run, 'a', 'done', '--reason', 'by hand'])).code).toBe(0);
    expect(await desk.rig.states(run)).toBe('sr');
  });

  test('mark refuses words that it does not know', async () => {
    expect(await desk.type('RUN', ['mark', 'x', 'a', 'well', '--reason', 'r'])).toMatchObject({
      code: 64,
      said: [
        "USAGE  command-argument value 'well' is invalid for argument 'as'. Allowed choices are done, failed.",
        '  type cephflow mark --help',
      ],
    });
  });

  test('retry --downstream does a step and what follows once more', async () => {
    const run = await desk.start([{ id: 'a' }, { id: 'b', after: [0] }, { id: 'c', after: [1] }]);
    await desk.rig.pass(run, 0);
    await desk.rig.pass(run, 1);
    expect(await desk.type(run, ['retry', run, '--downstream'])).toMatchObject({
      code: 64,
      said: [
        'USAGE  cephflow retry --downstream needs --step <id>: from where on?',
        '  nothing was changed; type cephflow retry --help',
      ],
    });
    expect(await desk.type(run, ['retry', run, '--step', 'b', '--downstream'])).toMatchObject({ code: 0 });
    expect(await desk.rig.states(run)).toBe('srp');
  });

  test('retry --downstream names the step that is under way, and says what became of a run that is over', async () => {
    const run = await desk.start([{ id: 'a' }, { id: 'b', after: [0] }]);
    await desk.rig.pass(run, 0);
    await desk.rig.claim(run, 1);
    const words = ['retry', run, '--step', 'a', '--downstream'];
    const refused = async () => (await desk.type(run, words)).said;
    const hint = '  `cephflow show RUN` tells its state';
    expect(await refused()).toEqual([
      'CONTROL_REFUSED  cannot retry a of run RUN: b is running: wait until it has ended',
      hint,
    ]);
    await desk.type(run, ['abort', run, '--reason', 'enough']);
    expect(await refused()).toEqual([
      'CONTROL_REFUSED  cannot retry a of run RUN: the run is being aborted',
      hint,
    ]);
    await desk.rig.fire(run, 1);
    expect(await refused()).toEqual([
      'CONTROL_REFUSED  cannot retry a of run RUN: the run is over: it aborted',
      hint,
    ]);
  });

  test('a step that gives something back is not marked as failed', async () => {
    const run = await desk.start([{ id: 'a' }, { id: 'back', part: 'finally' }]);
    await desk.rig.pass(run, 0);
    expect((await desk.type(run, ['mark', run, 'back', 'failed', '--reason', 'r'])).said).toEqual([
      'CONTROL_REFUSED  cannot mark as failed back of run RUN: the step gives something back: skip it, or let it be tried',
      '  `cephflow show RUN` tells its state',
    ]);
    expect((await desk.type(run, ['undo', run, '--reason', 'r', '--confirm', run])).said).toEqual([
      'CONTROL_REFUSED  cannot undo run RUN: its last steps are under way: they give back what it holds',
      '  `cephflow show RUN` tells its state',
    ]);
  });
});

describe('cephflow COMMAND --help', () => {
  const commands = ['approve', 'reject', 'retry', 'skip', 'mark', 'pause', 'resume', 'undo', 'abort', 'kill'];
  test.each([
    ...commands,
    'lock ls',
    'lock rm',
    'worker',
    'replace',
    'add',
    'run',
    'plan',
    'show',
    'watch',
    'logs',
  ])('%s shows how it is typed', async (name) => {
    const { code, stdout } = await desk.desk.type([...name.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`\\nExamples?:\\n {2}cephflow ${name}`));
  });
});
