import { describe, expect, test } from 'vitest';
import { short, storeDesk } from './store-desk.ts';

const desk = storeDesk();

describe('cephflow lock', () => {
  test('lists who holds and who waits, and takes away', async () => {
    expect(await desk.type('RUN', ['lock', 'ls'])).toEqual({
      code: 0,
      stdout: '',
      said: ['no locks are held'],
    });
    const locks = [{ name: 'node/n1', capacity: 1 }];
    const run = await desk.start([{ id: 'a' }], { locks });
    const other = await desk.start([{ id: 'a' }], { locks }, true);
    const { stdout } = await desk.type(run, ['lock', 'ls']);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['LOCK', 'RUN', 'STATE', 'AGE', 'BY'],
      ['node/n1', 'RUN', 'holds', expect.stringMatching(/^\d+s$/), 'ann@HERE'],
      ['node/n1', short(other), 'waits', 'ann@HERE'],
    ]);
    expect(JSON.parse((await desk.type('RUN', ['lock', 'ls', '-o', 'json'])).stdout)).toEqual([
      {
        name: 'node/n1',
        holders: [{ run, by: expect.any(String), sinceMs: expect.any(Number) }],
        waiters: [{ run: other }],
      },
    ]);
    expect((await desk.type(run, ['show', other])).stdout).toContain(
      '  waits for lock node/n1, which run RUN has held for ',
    );
    const rm = (name: string, ...more: string[]) =>
      desk.type(run, ['lock', 'rm', name, '--reason', 'dead', '--confirm', ...more]);
    expect(await rm('node/n1', 'node/n2')).toMatchObject({
      code: 64,
      said: [
        'USAGE  --confirm says node/n2, but the lock to take away is node/n1',
        '  nothing was changed; if you mean node/n1, type --confirm node/n1',
      ],
    });
    expect(await rm('node/n2', 'node/n2')).toMatchObject({
      code: 4,
      said: [
        'CONTROL_REFUSED  nobody holds node/n2. Did you mean "node/n1"?',
        '  nothing was changed; who holds what is listed by: cephflow lock ls',
      ],
    });
    expect(await rm('node/n1', 'node/n1', '--holder', short(other))).toMatchObject({
      code: 64,
      said: [
        `USAGE  ${short(other)} does not hold node/n1`,
        '  nothing was changed; add --holder RUN or RUN/STEP, one of: RUN',
      ],
    });
    expect(await rm('node/n1', 'node/n1')).toMatchObject({
      code: 0,
      said: ['node/n1 is taken away from RUN (ann@HERE)'],
    });
    expect(await desk.lastAct(run)).toBe('unlock by ada@HERE: dead');
    expect(await desk.rig.runState(other)).toBe('running');
  });

  test('of several holders one has to be named', async () => {
    const locks = [{ name: 'rack/r1', capacity: 2 }];
    const runs = [await desk.start([{ id: 'a' }], { locks }), await desk.start([{ id: 'a' }], { locks })];
    const words = ['lock', 'rm', 'rack/r1', '--confirm', 'rack/r1', '--reason', 'r'];
    const { code, said } = await desk.type('RUN', words);
    expect({ code, first: said[0] }).toEqual({
      code: 64,
      first: 'USAGE  rack/r1 has 2 holders: which one is meant?',
    });
    for (const run of runs) expect(said[1]).toContain(short(run));
  });

  test('a name that is missing', async () => {
    expect(await desk.type('RUN', ['lock', 'rm'])).toMatchObject({
      code: 64,
      said: ['USAGE  cephflow lock rm needs <name>', '  type cephflow lock rm --help'],
    });
  });
});
