import { describe, expect, test } from 'vitest';
import { checkPlaybook } from '../../src/plan/check.ts';
import { neededOutputs } from '../../src/plan/fill.ts';
import { parsePlaybook } from '../../src/plan/parse.ts';
import { formatProblems } from '../../src/plan/problems.ts';
import { duration } from '../../src/task/params.ts';
import { task } from '../../src/task/task.ts';
import { compile, head, linesOf, playbookOf, smallTasks, stepOf } from './support.ts';

const hold = task({
  name: 'light.on',
  summary: 'Switch the light on',
  risk: 'changes',
  params: { life: duration('How long', { default: '1h' }) },
  run: async () => ({}),
  hold: { life: 'life', renew: async () => undefined, release: async () => undefined },
});
const tasks = new Map([...smallTasks(), ['light.on', { task: hold, hash: 'h' }]]);
const included = playbookOf('playbook: inner\nsummary: s\nsteps: [{ task: noop.do }]\n', 'inner.yaml');

/** List all that is wrong with a playbook, as lint does. */
function lint(text: string): readonly string[] {
  const { draft, problems } = parsePlaybook(text, 'x.yaml');
  const known = new Map([...tasks].map(([name, one]) => [name, one.task]));
  const found = draft ? checkPlaybook(draft, known, new Map([['inner', included]])) : [];
  return formatProblems([...problems, ...found]).split('\n');
}

describe('expansions', () => {
  const text = `${head}params:
  node: { kind: node, about: N }
  most: { kind: integer, about: M, default: 12 }
steps:
  - { task: device.find, id: find, with: { name: "\${params.node.name}" } }
  - id: each
    group:
      for-each: { device: "\${steps.find.output.device}" }
      at-most: "\${params.most}"
      max-parallel: 2
      lock: ["device/\${device}", "node/\${params.node.name}"]
      steps:
        - { task: device.find, id: look, with: { name: "\${device}" } }
        - id: both
          group:
            max-parallel: 1
            for-each: { osd: "\${params.node.osds}" }
            steps:
              - task: text.say
                id: say
                when: "\${steps.look.output.count > osd.id}"
                with: { text: "\${osd.name} on \${device} of \${params.node.name}: \${steps.find.output.count}" }
        - { task: osd.touch, id: touch, with: { osd: osd.3 }, after: [look] }
        - { task: noop.do, id: end, when: "\${device == 'x'}", after: [touch, both], limit: 5m }
  - { task: noop.do, id: after_all }
finally: [{ task: noop.do, id: last }]
`;
  const plan = compile(text, { values: { node: 'ceph-osd-01' } });
  const { expansion } = stepOf(plan, 'each');

  test('are one step of the plan, which comes after what tells the list and before what follows', () => {
    expect(linesOf(plan)).toEqual(['find', 'each < find', 'after_all < each', 'finally: last']);
    const { expansion: _, ...step } = stepOf(plan, 'each');
    expect(step).toEqual({
      id: 'each',
      kind: 'expand',
      risk: 'changes',
      title: 'For each device, known later, at most 12: device.find, text.say, osd.touch, noop.do',
      with: {},
      after: [0],
      part: 'main',
      places: [],
    });
    expect(neededOutputs(stepOf(plan, 'each'))).toEqual(['find']);
  });

  test('hold the chain of one member, in which all is filled in but what its variable and outputs tell', () => {
    expect(expansion).toMatchObject({
      over: { $expression: 'steps["find"].output.device' },
      variable: 'device',
      atMost: 12,
      maxParallel: 2,
    });
    const steps = expansion?.steps ?? [];
    expect(steps.map(({ id, after }) => [id, after])).toEqual([
      ['look', []],
      ['say@osd.0', [0]],
      ['say@osd.1', [0]],
      ['touch', [0]],
      ['end', [1, 2, 3]],
    ]);
    expect(steps[0]?.with).toEqual({ name: { $expression: 'device' } });
    expect(steps[2]).toMatchObject({
      with: {
        text: {
          $expression:
            '"osd.1 on " + string(device) + " of ceph-osd-01: " + string(steps["find"].output.count)',
        },
      },
      when: 'steps["look"].output.count > 1',
      places: [{ group: 0, member: 1 }],
    });
    expect(steps[3]?.with).toMatchObject({ osd: { id: 3, node: 'ceph-osd-02' } });
    expect(steps[4]).toMatchObject({ when: "device == 'x'", limitMs: 300_000, places: [] });
    expect(expansion?.groups).toEqual([{ id: 'both', maxParallel: 1, memberSizes: [1, 1] }]);
    expect(steps.map(({ locks }) => locks)).toEqual(
      Array.from({ length: 5 }, () => [
        { name: `\${"device/" + string(device)}`, capacity: 1 },
        { name: 'node/ceph-osd-01', capacity: 1 },
      ]),
    );
  });

  test('are pinned and judged with all that they will append', () => {
    expect(Object.keys(plan.tasks)).toEqual(['device.find', 'noop.do', 'osd.touch', 'text.say']);
    expect(plan.fingerprint.targets).toContain('osd.3=00000000-0000-4000-8000-000000000003@ceph-osd-02');
  });

  test('may stand in each member of a group, and in finally, with their own ids', () => {
    const inGroup = compile(`${head}steps:
  - group:
      for-each: { name: [a, b] }
      max-parallel: 1
      steps:
        - { task: device.find, id: find, with: { name: "\${name}" } }
        - id: each
          group:
            for-each: { d: "\${steps.find.output.device}" }
            at-most: 2
            steps: [{ task: text.say, id: say, with: { text: "\${name} \${d}" } }]
finally:
  - { task: device.find, id: seek, with: { name: n } }
  - { group: { for-each: { d: "\${steps.seek.output.device}" }, at-most: 2, steps: [{ task: noop.do }] }, id: end }
`);
    expect(linesOf(inGroup)).toEqual([
      'find@a',
      'each@a < find@a',
      'find@b',
      'each@b < find@b',
      'finally: seek',
      'finally: end < seek',
    ]);
    const inner = stepOf(inGroup, 'each@b').expansion;
    expect(inner?.over.$expression).toBe('steps["find@b"].output.device');
    expect(inner?.steps[0]).toMatchObject({
      id: 'say@b',
      with: { text: { $expression: '"b " + string(d)' } },
    });
    expect(inGroup.groups).toEqual([{ id: 'group', maxParallel: 1, memberSizes: [2, 2] }]);
    expect(stepOf(inGroup, 'each@b').places).toEqual([{ group: 0, member: 1 }]);
  });

  test('that cannot be are told with what was expected', () => {
    const wrong = `${head}params: { node: { kind: node, about: N }, words: { kind: text, about: W } }
steps:
  - { task: device.find, id: find, with: { name: n } }
  - { group: { for-each: { d: "\${steps.find.output.device}" }, steps: [{ task: noop.do, id: a }] }, id: g1 }
  - { group: { for-each: { d: [x] }, at-most: 3, steps: [{ task: noop.do }] } }
  - { group: { at-most: 3, steps: [{ task: noop.do }] } }
  - { group: { for-each: { d: "\${steps.find.output.device}" }, at-most: 0, steps: [{ task: noop.do }] } }
  - { group: { for-each: { d: "\${steps.find.output.devices}" }, at-most: 3, steps: [{ task: noop.do }] } }
  - { group: { for-each: { d: "\${steps.fnd.output.device}" }, at-most: 3, steps: [{ task: noop.do }] } }
  - { group: { for-each: { d: "\${steps.later.output.device}" }, at-most: 3, steps: [{ task: noop.do }] } }
  - { group: { for-each: { d: "\${size(steps.find.output.device)}" }, at-most: 3, steps: [{ task: noop.do }] } }
  - group:
      for-each: { d: "\${steps.find.output.device}" }
      at-most: 3
      steps:
        - { task: device.find, id: inside, with: { name: "\${d}" } }
        - { group: { for-each: { e: "\${steps.inside.output.device}" }, at-most: 3, steps: [{ task: noop.do }] } }
        - { group: { for-each: { e: "\${d.parts}" }, steps: [{ task: noop.do }] } }
        - { group: { max-parallel: "\${d}", steps: [{ task: noop.do }] } }
        - { playbook: inner }
        - { task: light.on }
        - { task: osd.touch, with: { osd: "osd.\${d}" } }
        - { task: noop.do, after: [find] }
        - { task: text.say, with: { text: "\${dd}" } }
  - { task: device.find, id: later, with: { name: n } }
  - { task: text.say, with: { text: "\${steps.inside.output.device}" } }
  - { task: noop.do, after: [inside] }
`;
    expect(lint(wrong)).toEqual([
      'x.yaml:6:31  for-each goes over an output, whose length nobody knows yet: expected at-most, the most there may be',
      'x.yaml:7:47  at-most stands where the members are known: expected it only beside a list of an output',
      'x.yaml:8:25  at-most stands where the members are known: expected it only beside a list of an output',
      'x.yaml:9:73  at-most is 0: expected a whole number of at least 1',
      'x.yaml:10:34  device.find has no output devices: expected one of device, count. Did you mean "device"?',
      'x.yaml:11:34  there is no step fnd: expected the id of a step before this one. Did you mean "find"?',
      `x.yaml:13:31  for-each goes over "\${size(steps.find.output.device)}": expected a list`,
      'x.yaml:19:37  for-each goes over an output, inside an expansion: expected a list known when the plan is made',
      'x.yaml:20:40  d.parts is known only while the run is under way: expected what is known when the plan is made',
      'x.yaml:21:39  d is known only while the run is under way: expected what is known when the plan is made',
      'x.yaml:22:23  inner is included in an expansion: expected its steps written out there',
      'x.yaml:23:19  light.on holds something until the run ends: expected it outside of the expansion',
      'x.yaml:24:43  osd is named only while the run is under way: expected an OSD (The OSD)',
      'x.yaml:25:36  find stands outside of the expansion: expected a step in it',
      expect.stringMatching(/^x\.yaml:26:\d+ {2}unknown name dd: .*Did you mean "d"\?$/),
      'x.yaml:28:40  inside is done once for each member of a group: expected a step outside of it',
      'x.yaml:29:30  inside is done once for each member of an expansion: expected a step outside of it',
    ]);
    const late = wrong.replace('after: [find]', 'when: "true"').replace('after: [inside]', 'when: "true"');
    expect(lint(late)).toContain(
      'x.yaml:12:34  later does not come before group-6: expected a step that it waits for',
    );
  });

  test('do not lack at-most where it may stand under a mistyped key', () => {
    const mistyped = `${head}steps:
  - { task: device.find, id: find, with: { name: n } }
  - { group: { for-each: { d: "\${steps.find.output.device}" }, at-mots: 3, steps: [{ task: noop.do }] } }
`;
    expect(lint(mistyped)).toEqual([
      'x.yaml:5:64  unknown key "at-mots" in a group: expected one of for-each, at-most, max-parallel, lock, steps. Did you mean "at-most"?',
    ]);
  });

  test('of a size that turns out to be none are refused when the plan is made', () => {
    expect(() => compile(text, { values: { node: 'ceph-osd-01', most: 0 } })).toThrow(
      expect.objectContaining({
        message: 'x.yaml:11:16  at-most is 0: expected a whole number of at least 1',
      }),
    );
  });
});
