import { describe, expect, test } from 'vitest';
import { CephflowError, chain, duration, node, osd, playbook, previous, step } from '../../src/index.ts';
import type { BuiltPlaybook, CodePlaybook, PlaybookDefinition } from '../../src/plan/code.ts';
import type { CompileContext } from '../../src/plan/compile.ts';
import { compileCode } from '../../src/plan/compile-code.ts';
import type { Params } from '../../src/task/params.ts';
import { smallContext, stepOf } from './support.ts';

const compile = (code: CodePlaybook, more: Partial<CompileContext> = {}) =>
  compileCode(code, smallContext(more));

const wholeNode = playbook({
  name: 'touch-all',
  summary: 'Touch every OSD of a node',
  params: { node: node('The node'), pause: duration('How long', { default: '1m' }) },
  build: ({ node: { osds }, pause }) => ({
    main: chain(...osds.map((one) => step('osd.touch', { osd: one }, { delayMs: pause }))),
    atEnd: step('device.find', { name: 'host' }),
    locks: ['cluster/ceph', { name: 'rack/r1', capacity: 2 }],
    payload: { osds: osds.length },
  }),
});

describe('playbook in code', () => {
  test('sees identities and milliseconds, and says what else a plan has', () => {
    const plan = compile(wholeNode, { values: { node: 'ceph-osd-02' } });
    expect(plan).toMatchObject({
      playbook: 'touch-all',
      target: 'ceph-osd-02',
      params: { node: { name: 'ceph-osd-02' }, pause: 60_000 },
      locks: [
        { name: 'cluster/ceph', capacity: 1 },
        { name: 'rack/r1', capacity: 2 },
      ],
      payload: { osds: 2 },
    });
    expect(plan.steps.map(({ id, part, delayMs }) => [id, part, delayMs])).toEqual([
      ['osd.touch', 'main', 60_000],
      ['osd.touch-2', 'main', 60_000],
      ['device.find', 'finally', undefined],
    ]);
    expect(plan.fingerprint.targets).toHaveLength(2);
    expect(compile(wholeNode, { values: { node: 'ceph-osd-02' }, payload: 1 }).payload).toBe(1);
  });

  test('may name OSDs in the values of steps, and pass outputs on', () => {
    const main = chain(step('device.find', { name: 'h' }), step('text.say', { text: previous('device') }));
    const plan = compile(
      playbook({ name: 'it', summary: 's', build: () => chain(step('osd.touch', { osd: 'osd.3' }), main) }),
    );
    expect(stepOf(plan, 'osd.touch').with).toMatchObject({ osd: { id: 3, node: 'ceph-osd-02' } });
    expect(stepOf(plan, 'text.say').with).toHaveProperty(['text', '$expression']);
  });
});

describe('playbook in code: refuses', () => {
  const refusal = (build: PlaybookDefinition<Params>['build'] | (() => BuiltPlaybook)) => {
    try {
      compile(playbook({ name: 'it', summary: 's', build }));
    } catch (thrown) {
      return thrown;
    }
    return 'it was compiled';
  };

  test('all values that do not fit, with their steps', () => {
    const wrong = chain(
      step('osd.touch', { osd: 99 }, { id: 'far' }),
      step('number.take', { number: 0, numbre: 1 }),
    );
    expect(refusal(() => wrong)).toMatchObject({
      code: 'PARAM_INVALID',
      message: [
        'far (osd.touch): osd: no OSD "99" is in the OSD map. It has osd.0, osd.1, osd.2, osd.3, osd.4, osd.5, osd.6, osd.7.',
        'number.take has no parameter "numbre": it takes number. Did you mean "number"?',
        'number.take: number: 0 is not allowed: expected a whole number of at least 1',
      ].join('\n'),
    });
  });

  test('values of its own parameters, before it builds', () => {
    const code = playbook({
      name: 'it',
      summary: 's',
      params: { osd: osd('The OSD') },
      build: () => {
        throw new Error('it was built');
      },
    });
    expect(() => compile(code, { values: { osd: 'osd.99' } })).toThrow(
      'it: osd: no OSD "osd.99" is in the OSD map.',
    );
  });

  test('what does not build, and what the author refuses', () => {
    const broken = refusal(() => {
      throw new TypeError('x is undefined');
    });
    expect(broken).toMatchObject({
      code: 'PLAYBOOK_INVALID',
      message: 'playbook it does not build: x is undefined',
    });
    const own = new CephflowError('PLAN_REFUSED', 'not on a Friday');
    expect(
      refusal(() => {
        throw own;
      }),
    ).toBe(own);
    expect(refusal(() => step('no.such'))).toMatchObject({ message: 'there is no task no.such' });
  });

  test('a name that cannot be typed', () => {
    expect(() => playbook({ name: 'Replace Node', summary: 's', build: () => chain() })).toThrow(
      '"Replace Node" is no name of a playbook: expected lower case and hyphens, such as replace-node',
    );
  });
});
