import { describe, expect, test } from 'vitest';
import { fingerprintDifferences } from '../../src/plan/diff.ts';
import { evaluateWhen, fillStep, neededOutputs } from '../../src/plan/fill.ts';
import { duration } from '../../src/task/params.ts';
import { task } from '../../src/task/task.ts';
import { compile, head, linesOf, playbookOf, smallMap, smallTasks, stepOf } from './support.ts';

describe('compile: outputs', () => {
  const plan = compile(
    `${head}params: { node: { kind: node, about: N } }
steps:
  - group:
      for-each: { osd: "\${params.node.osds}" }
      steps:
        - { task: device.find, id: find, with: { name: "\${osd.node}" } }
        - task: text.say
          id: say
          when: "\${steps.find.output.count > osd.id}"
          with: { text: "osd \${osd.id}: \${steps.find.output.device}" }
finally:
  - group: { for-each: { letter: [a, b] }, steps: [{ task: text.say, id: at_end, with: { text: "\${letter}" } }] }
`,
    { values: { node: 'ceph-osd-01' } },
  );

  test('stay open until the step is ready, under the ids of the plan', () => {
    const step = stepOf(plan, 'say@osd.1');
    expect(step.with).toEqual({
      text: { $expression: '"osd 1: " + string(steps["find@osd.1"].output.device)' },
    });
    expect(step.when).toBe('steps["find@osd.1"].output.count > 1');
    expect(neededOutputs(step)).toEqual(['find@osd.1']);
    const outputs = { 'find@osd.1': { device: '/dev/sdb', count: 2 } };
    expect(fillStep(step, outputs)).toEqual({ text: 'osd 1: /dev/sdb' });
    expect(evaluateWhen(step, outputs)).toBe(true);
    expect(evaluateWhen(step, { 'find@osd.1': { device: '/dev/sdb', count: 1 } })).toBe(false);
  });

  test('that never came to be are said to be absent', () => {
    expect(() => fillStep(stepOf(plan, 'say@osd.0'), {})).toThrow(
      expect.objectContaining({
        code: 'EXPRESSION_FAILED',
        message:
          '"osd 0: " + string(steps["find@osd.0"].output.device) cannot be evaluated: step find@osd.0 has no output (it was skipped, or did not end well)',
      }),
    );
  });

  test('finally stands behind, tied only to itself', () => {
    expect(linesOf(plan).slice(4)).toEqual(['finally: at_end@a', 'finally: at_end@b']);
  });
});

test('compile: holds are released after all finally steps, the last taken first', () => {
  const hold = task({
    name: 'light.on',
    summary: 'Switch the light on',
    risk: 'changes',
    params: { life: duration('How long', { default: '1h' }) },
    run: async () => ({}),
    hold: { life: 'life', renew: async () => undefined, release: async () => undefined },
  });
  const tasks = new Map([...smallTasks(), ['light.on', { task: hold, hash: 'h' }]]);
  const text = `${head}steps: [{ task: light.on, id: one }, { task: light.on, id: two }]
finally: [{ group: { steps: [{ task: noop.do, id: a }, { task: noop.do, id: b }] } }]
`;
  const plan = compile(text, { tasks });
  expect(linesOf(plan)).toEqual([
    'one',
    'two < one',
    'finally: a',
    'finally: b',
    'finally: barrier-releases < a, b',
    'finally: two.release < barrier-releases',
    'finally: one.release < barrier-releases',
  ]);
  expect(stepOf(plan, 'two.release')).toMatchObject({
    kind: 'release',
    releases: 1,
    with: { life: 3_600_000 },
  });
});

test('compile: an included playbook takes its place, with its own names, locks and finally', () => {
  const inner = playbookOf(
    `playbook: inner
summary: s
params: { osd: { kind: osd, about: O }, word: { kind: text, about: W, default: "\${params.osd.name}" } }
lock: ["osd/\${params.word}"]
steps: [{ task: device.find, id: find, with: { name: n } }, { task: text.say, with: { text: "\${steps.find.output.device}" } }]
finally: [{ task: noop.do }]
`,
    'inner.yaml',
  );
  const plan = compile(
    `${head}params: { node: { kind: node, about: N } }
steps:
  - { task: noop.do, id: first }
  - group: { for-each: { osd: "\${params.node.osds}" }, steps: [{ playbook: inner, id: one, with: { osd: "\${osd}" } }] }
  - { task: noop.do, id: last }
`,
    { values: { node: 'ceph-osd-01' }, playbooks: new Map([['inner', inner]]) },
  );
  expect(linesOf(plan)).toEqual([
    'first',
    'one@osd.0/find < first',
    'one@osd.0/text.say < one@osd.0/find',
    'one@osd.1/find < first',
    'one@osd.1/text.say < one@osd.1/find',
    'last < one@osd.0/text.say, one@osd.1/text.say',
    'finally: one@osd.0/noop.do',
    'finally: one@osd.1/noop.do',
  ]);
  expect(plan.locks).toEqual(['osd/osd.0', 'osd/osd.1'].map((name) => ({ name, capacity: 1 })));
  expect(neededOutputs(stepOf(plan, 'one@osd.1/text.say'))).toEqual(['one@osd.1/find']);
});

test('plans: what differs from what a plan was decided on is said in words', () => {
  const make = (map = smallMap()) =>
    compile(`${head}params: { node: { kind: node, about: N } }\nsteps: []\n`, {
      map,
      values: { node: 'ceph-osd-02' },
    }).fingerprint;
  const map = smallMap();
  const changed = {
    ...map,
    fsid: 'other',
    osds: map.osds.map((osd) => (osd.id === 3 ? { ...osd, uuid: 'new' } : osd)),
    nodes: map.nodes.slice(0, 3),
    pools: [],
  };
  expect(fingerprintDifferences(make(), make({ ...map, epoch: 99 }))).toEqual([]);
  expect(fingerprintDifferences(make(), make(changed))).toEqual([
    'the cluster is another one: fsid other, planned f5f5',
    'osd.3=00000000-0000-4000-8000-000000000003@ceph-osd-02 was planned and is gone',
    'osd.3=new@ceph-osd-02 is new',
    'hosts, their places or their OSDs have changed in the CRUSH map',
    'pool data:3:0 was planned and is gone',
  ]);
});
