import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { evaluateWhen, fillStep, neededOutputs } from '../../src/plan/fill.ts';
import { type Growth, growPlan } from '../../src/plan/grow.ts';
import { hashSteps } from '../../src/plan/hash.ts';
import type { PlanStep } from '../../src/plan/plan.ts';
import { compile, head, smallTasks, stepOf } from './support.ts';

const tasks = smallTasks();
const at = { index: 1, firstIndex: 10, groups: 2 };

/** Compile a playbook whose step `find` tells the list that `each` goes over. */
function eachStep(group: string, finallyToo = ''): PlanStep {
  const text = `${head}params: { node: { kind: node, about: N } }
steps:
  - { task: device.find, id: find, with: { name: n } }
  - id: each
    group:
      for-each: { device: "\${steps.find.output.device}" }
      at-most: 4
${group}${finallyToo}`;
  return stepOf(compile(text, { values: { node: 'ceph-osd-01' } }), 'each');
}

const grow = (step: PlanStep, device: Json, place = at): Growth =>
  growPlan(step, place, { find: { device } }, tasks);

const chain = eachStep(`      max-parallel: 2
      lock: ["device/\${device}", { name: "quoted/$\${x}", capacity: 3 }]
      steps:
        - { task: device.find, id: look, with: { name: "\${device}" }, when: "\${device != 'sdc'}" }
        - task: text.say
          id: say
          priority: 3
          with: { text: "\${device}: \${steps.look.output.count} of \${steps.find.output.count}" }
          when: "\${steps.look.output.count > 0 && device != 'x'}"
`);

describe('growth', () => {
  const growth = grow(chain, ['sdb', 'sdc']);

  test('is a chain for each value, behind the expand step, with places and locks of its own', () => {
    expect(growth.groups).toEqual([{ id: 'each', maxParallel: 2, memberSizes: [2, 2] }]);
    expect(growth.steps.map(({ id, after, places }) => ({ id, after, places }))).toEqual([
      { id: 'look@sdb', after: [1], places: [{ group: 2, member: 0 }] },
      { id: 'say@sdb', after: [10], places: [{ group: 2, member: 0 }] },
      { id: 'look@sdc', after: [1], places: [{ group: 2, member: 1 }] },
      { id: 'say@sdc', after: [12], places: [{ group: 2, member: 1 }] },
    ]);
    expect(growth.steps[2]).toEqual({
      id: 'look@sdc',
      kind: 'task',
      task: 'device.find',
      risk: 'changes',
      title: 'Find a device: name sdc',
      with: { name: 'sdc' },
      after: [1],
      part: 'main',
      places: [{ group: 2, member: 1 }],
      when: 'false',
      locks: [
        { name: 'device/sdc', capacity: 1 },
        { name: `quoted/\${x}`, capacity: 3 },
      ],
    });
    expect(growth.steps[0]).not.toHaveProperty('when');
  });

  test('names the outputs of the same member, and those from outside as they are', () => {
    const say = growth.steps[1];
    if (!say) throw new Error('there is no second step');
    expect(say).toMatchObject({ id: 'say@sdb', priority: 3, title: 'Say a text: text known later' });
    expect(neededOutputs(say).toSorted()).toEqual(['find', 'look@sdb']);
    const outputs = { find: { count: 7 }, 'look@sdb': { count: 2 } };
    expect(fillStep(say, outputs)).toEqual({ text: 'sdb: 2 of 7' });
    expect(evaluateWhen(say, outputs)).toBe(true);
    expect(evaluateWhen(say, { 'look@sdb': { count: 0 } })).toBe(false);
  });

  test('has a hash that tells what it is and where it stands', () => {
    const { hash, groups, steps } = JSON.parse(JSON.stringify(growth)) as Growth;
    expect(hash).toBe(hashSteps({ groups }, steps));
    expect(grow(chain, ['sdb', 'sdc'])).toEqual(growth);
    expect(grow(chain, ['sdb', 'sdd']).hash).not.toBe(hash);
    expect(grow(chain, ['sdb', 'sdc'], { ...at, firstIndex: 11 }).hash).not.toBe(hash);
  });

  test('is empty for an empty list', () => {
    expect(grow(chain, [])).toMatchObject({ steps: [], groups: [] });
  });

  test('keeps groups and barriers inside of a member, and the part of its expand step', () => {
    const step = eachStep(
      `      steps:
        - group:
            for-each: { osd: "\${params.node.osds}" }
            max-parallel: 1
            steps: [{ task: text.say, id: one, with: { text: "\${osd.name} \${device.path}" } }]
        - group: { steps: [{ task: noop.do, id: a }, { task: noop.do, id: b }] }
`,
    );
    const values = ['/dev/sdb', '/dev/sdc'].map((path) => ({ path, size: 12 }));
    const { steps, groups } = grow({ ...step, part: 'finally' }, values, {
      index: 3,
      firstIndex: 4,
      groups: 0,
    });
    expect(groups).toEqual(
      [0, 1].map((member) => ({ id: `group@${member}`, maxParallel: 1, memberSizes: [1, 1] })),
    );
    expect(steps.map(({ id, after, places }) => [id, after, places])).toEqual([
      ['one@osd.0@0', [3], [{ group: 0, member: 0 }]],
      ['one@osd.1@0', [3], [{ group: 0, member: 1 }]],
      ['each.barrier-1@0', [4, 5], []],
      ['a@0', [6], []],
      ['b@0', [6], []],
      ['one@osd.0@1', [3], [{ group: 1, member: 0 }]],
      ['one@osd.1@1', [3], [{ group: 1, member: 1 }]],
      ['each.barrier-1@1', [9, 10], []],
      ['a@1', [11], []],
      ['b@1', [11], []],
    ]);
    expect(steps[6]?.with).toEqual({ text: 'osd.1 /dev/sdc' });
    expect(steps.every(({ part }) => part === 'finally')).toBe(true);
  });

  test('reads values as their kinds do, frozen identities among them', () => {
    const numbers = eachStep(`      steps: [{ task: number.take, with: { number: "\${device}" } }]\n`);
    expect(grow(numbers, ['3', 4]).steps.map((step) => step.with)).toEqual([{ number: 3 }, { number: 4 }]);
    const osds = eachStep(`      steps: [{ task: osd.touch, id: touch, with: { osd: "\${device}" } }]\n`);
    const osd = { id: 3, name: 'osd.3', uuid: 'u', node: 'n', weight: 1 };
    expect(grow(osds, [osd]).steps[0]).toMatchObject({ id: 'touch@osd.3', with: { osd } });
  });
});

describe('growth: what a step returned and cannot be', () => {
  const numbers = eachStep(
    `      steps: [{ task: number.take, id: take, with: { number: "\${device}" } }]\n`,
  );
  const hint = 'an earlier step returned it; mend that step or the playbook, and make a new plan';

  test('is no list, or longer than what was approved', () => {
    expect(() => grow(numbers, { a: 1 })).toThrow(
      expect.objectContaining({
        code: 'EXPANSION_INVALID',
        message: 'each goes over steps["find"].output.device, which is {"a":1}: expected a list',
        hint,
      }),
    );
    expect(() => grow(numbers, [1, 2, 3, 4, 5])).toThrow(
      'each goes over steps["find"].output.device, which is a list of 5 values: expected at most 4',
    );
    expect(() => growPlan(numbers, at, {}, tasks)).toThrow(
      expect.objectContaining({ code: 'EXPRESSION_FAILED' }),
    );
  });

  test('are values that do not fit, all of them at once', () => {
    expect(() => grow(numbers, [1, 0, 'x'])).toThrow(
      expect.objectContaining({
        code: 'EXPANSION_INVALID',
        message: [
          'each cannot be expanded:',
          'take@0: number is 0: expected a whole number of at least 1',
          'take@x: number is "x": expected a whole number of at least 1',
        ].join('\n'),
      }),
    );
    const fields = eachStep(`      lock: ["disk/\${device.name}"]
      steps: [{ task: noop.do, id: act, when: "\${device.size}" }]
`);
    expect(() => grow(fields, [{ name: 'a b', size: 1 }, 7])).toThrow(
      [
        'each cannot be expanded:',
        'act@0: when is 1: expected true or false',
        'act@0: lock: the name "disk/a b" cannot be shared: expected 1 to 200 characters without spaces, such as node/ceph-osd-07',
      ].join('\n'),
    );
  });
});

test('growth: any list gives as many chains, with edges backwards and ids that stand once', () => {
  const values = fc.oneof(fc.string(), fc.constantFrom('sdb', '/dev/sdc', '0', '1'), fc.integer());
  const places = fc.record({
    index: fc.nat(50),
    firstIndex: fc.integer({ min: 51, max: 90 }),
    groups: fc.nat(9),
  });
  const step = eachStep(`      max-parallel: 1
      steps:
        - { task: text.say, with: { text: "\${device}" } }
        - group: { steps: [{ task: noop.do, id: a }, { task: noop.do, id: b }] }
        - group: { max-parallel: 1, steps: [{ task: noop.do, id: c }, { task: noop.do, id: d }] }
`);
  const size = step.expansion?.steps.length ?? 0;
  expect(size).toBe(6);
  fc.assert(
    fc.property(fc.array(values, { maxLength: 4 }), places, (list, place) => {
      const texts = list.map(String);
      const { steps, groups } = grow(step, texts, place);
      expect(steps).toHaveLength(size * texts.length);
      expect(groups).toHaveLength(texts.length === 0 ? 0 : 1 + texts.length);
      expect(new Set(steps.map(({ id }) => id)).size).toBe(steps.length);
      for (const [offset, { after, places: own }] of steps.entries()) {
        const member = Math.floor(offset / size);
        const first = place.firstIndex + member * size;
        expect(after.length).toBeGreaterThan(0);
        for (const one of after) {
          expect(one).toBeLessThan(place.firstIndex + offset);
          expect(one === place.index || one >= first).toBe(true);
        }
        for (const { group } of own) expect(group - place.groups).toBeLessThan(groups.length);
      }
      expect(steps.filter(({ kind }) => kind === 'task').map(({ with: { text } }) => text)).toEqual(
        texts.flatMap((text) => [text, undefined, undefined, undefined, undefined]),
      );
    }),
  );
});
