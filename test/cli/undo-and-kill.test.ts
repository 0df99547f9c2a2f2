import { describe, expect, test } from 'vitest';
import { short, storeDesk } from './store-desk.ts';

const desk = storeDesk();

describe('cephflow undo', () => {
  const steps = [
    { id: 'drain', task: 'osd.reweight', title: 'Set the weight of osd.2 to 0' },
    { id: 'purge', task: 'osd.purge', title: 'Remove osd.2', after: [0] },
  ];

  test('says what is taken back, asks for the run’s id, and is recorded', async () => {
    const run = await desk.start(steps);
    await desk.act(run, 0);
    const told = [
      'run RUN is taken back in this order; then it gives back what it holds, and ends:',
      '  1. Take back: Set the weight of osd.2 to 0',
    ];
    const words = ['undo', run, '--reason', 'wrong node'];
    expect(await desk.type(run, words)).toEqual({
      code: 64,
      stdout: '',
      said: [
        ...told,
        'USAGE  this takes a run back, and nobody is there to confirm it',
        '  nothing was changed; add --confirm RUN',
      ],
    });
    expect(await desk.type(run, [...words, '--confirm', '0000'])).toEqual({
      code: 64,
      stdout: '',
      said: [
        ...told,
        'USAGE  --confirm says 0000, but the run is RUN',
        '  nothing was changed; if you mean RUN, type --confirm RUN',
      ],
    });
    expect(await desk.rig.runState(run)).toBe('running');
    expect(await desk.type(run, [...words, '--confirm', short(run)])).toEqual({
      code: 0,
      stdout: '',
      said: [...told, 'run RUN is being taken back; follow with: cephflow watch RUN'],
    });
    expect(await desk.rig.runState(run)).toBe('undoing');
    expect(await desk.lastAct(run)).toBe('undo by ada@HERE: wrong node');
    expect(await desk.type(run, words)).toMatchObject({
      code: 4,
      said: [
        'CONTROL_REFUSED  cannot undo run RUN: the run is being undone already',
        '  `cephflow show RUN` tells its state',
      ],
    });
  });

  test('is refused at once where a step has no way back', async () => {
    const run = await desk.start([...steps, { id: 'more', after: [1] }]);
    await desk.act(run, 0);
    await desk.act(run, 1);
    expect(await desk.type(run, ['undo', run, '--confirm', short(run), '--reason', 'r'])).toEqual({
      code: 4,
      stdout: '',
      said: [
        'UNDO_REFUSED  run RUN cannot be taken back, a step has no way back:',
        '  - purge: Remove osd.2',
        '  nothing was changed; `cephflow abort RUN` gives back what it holds and leaves the rest as it is',
      ],
    });
    expect(await desk.rig.runState(run)).toBe('running');
  });
});

describe('cephflow kill', () => {
  test('ends the run and tells all that is left behind', async () => {
    const osd = { name: 'osd.2', uuid: 'u2', node: 'n1', weight: 1.5, id: 2 };
    const locks = [{ name: 'node/n1', capacity: 1 }];
    const run = await desk.start(
      [
        { id: 'silence', task: 'monitoring.downtime', title: 'Silence n1' },
        { id: 'drain', task: 'osd.reweight', with: { osd, weight: 0 } },
        { id: 'purge', task: 'osd.purge', risk: 'destroys-data', after: [1] },
      ],
      { locks },
    );
    const held = await desk.rig.claim(run, 0);
    await desk.rig.store.recordHold(held, { renewMs: Date.now(), expiresMs: Date.now() + 60_000 });
    await desk.rig.store.complete(held, { state: 'succeeded', acted: true });
    await desk.act(run, 1);
    const purge = await desk.rig.claim(run, 2);
    await desk.rig.store.takeLocks(purge, [{ name: 'osd/u2', capacity: 1 }]);
    await desk.rig.store.acting(purge);
    expect(await desk.type(run, ['kill', run, '--reason', 'r'])).toMatchObject({
      code: 64,
      said: [
        'USAGE  this ends a run as it is and gives nothing back, and nobody is there to confirm it',
        '  nothing was changed; add --confirm RUN',
      ],
    });
    expect(await desk.type(run, ['kill', run, '--confirm', short(run), '--reason', 'needed'])).toEqual({
      code: 0,
      stdout: '',
      said: [
        'run RUN is killed: it is left-over',
        'what the run leaves behind:',
        '  CRUSH weight 0, so that no data comes back: osd.2; as it was before:',
        '    ceph osd crush reweight osd.2 1.5',
        '  begun, and nobody knows whether it happened: purge',
        '  silence was not given back; it ends by itself at TIME: Silence n1',
      ],
    });
    expect(await desk.lastAct(run)).toBe('kill by ada@HERE: needed');
    // its locks are for others at once
    expect(await desk.rig.store.locks()).toEqual([]);
  });
});
