import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { compilePlan } from '../../src/plan/compile.ts';
import { evaluateWhen } from '../../src/plan/fill.ts';
import { hashSteps } from '../../src/plan/hash.ts';
import {
  compile,
  head,
  libraryTasks,
  linesOf,
  shippedPlaybooks,
  smallContext,
  smallMap,
  stepOf,
} from './support.ts';

async function shipped(name: string, values: Record<string, string>) {
  const playbooks = shippedPlaybooks();
  const playbook = playbooks.get(name);
  if (!playbook) throw new Error(`no playbook ${name}`);
  return compilePlan(playbook, smallContext({ tasks: await libraryTasks(), playbooks, values }));
}

describe('replace-node', () => {
  test('compiles to its steps in their order', async () => {
    const plan = await shipped('replace-node', { node: 'ceph-osd-02' });
    expect(linesOf(plan)).toEqual([
      'silence',
      'cluster.wait-healthy < silence',
      'drain < cluster.wait-healthy',
      'osd.wait-empty@osd.2 < drain',
      'osd.wait-empty@osd.3 < drain',
      'cluster.wait-healthy-2 < osd.wait-empty@osd.2, osd.wait-empty@osd.3',
      'osd.stop@osd.2 < cluster.wait-healthy-2',
      'osd.purge@osd.2 < osd.stop@osd.2',
      'osd.stop@osd.3 < cluster.wait-healthy-2',
      'osd.purge@osd.3 < osd.stop@osd.3',
      'node.remove < osd.purge@osd.2, osd.purge@osd.3',
      'call < node.remove',
      'swapped < call',
      'node.wait-present < swapped',
      'node.add < node.wait-present',
      'fill < node.add',
      'cluster.wait-healthy-3 < fill',
      'finally: silence.release',
    ]);
    expect(plan.groups).toEqual([{ id: 'remove', maxParallel: 1, memberSizes: [2, 2] }]);
    expect(plan.locks).toEqual([{ name: 'node/ceph-osd-02', capacity: 1 }]);
    expect(plan.target).toBe('ceph-osd-02');
    expect(stepOf(plan, 'osd.wait-empty@osd.3').timeout).toEqual({ afterMs: 43_200_000, outcome: 'ask' });
    expect(stepOf(plan, 'osd.purge@osd.3').places).toEqual([{ group: 0, member: 1 }]);
  });

  test('freezes the identities of what it acts on', async () => {
    const plan = await shipped('replace-node', {
      node: 'ceph-osd-02',
      new_node: 'ceph-osd-09',
      downtime: '10s',
    });
    const frozen = {
      id: 3,
      name: 'osd.3',
      uuid: '00000000-0000-4000-8000-000000000003',
      node: 'ceph-osd-02',
      weight: 1,
      device_class: 'hdd',
    };
    expect(stepOf(plan, 'osd.purge@osd.3').with).toEqual({ osd: frozen });
    expect(stepOf(plan, 'node.add').with).toMatchObject({
      name: 'ceph-osd-09',
      beside: {
        name: 'ceph-osd-02',
        location: [
          { type: 'rack', name: 'rack-2' },
          { type: 'root', name: 'default' },
        ],
      },
    });
    expect(stepOf(plan, 'fill').with).toEqual({ name: 'ceph-osd-09', devices: 'all', at_least: 2 });
    expect(stepOf(plan, 'silence').with).toMatchObject({ life: 10_000 });
    expect(stepOf(plan, 'call').with).toMatchObject({ technicians: { contact: 'dc_team' } });
    expect(plan.fingerprint.targets).toEqual([
      'osd.2=00000000-0000-4000-8000-000000000002@ceph-osd-02',
      'osd.3=00000000-0000-4000-8000-000000000003@ceph-osd-02',
    ]);
  });

  test('says in each title what is done with which values', async () => {
    const plan = await shipped('replace-node', { node: 'ceph-osd-02' });
    expect(stepOf(plan, 'drain').title).toBe(
      'Set the CRUSH weight of all OSDs of a node at once: ceph-osd-02 (osd.2, osd.3), weight 0',
    );
    expect(stepOf(plan, 'silence.release')).toMatchObject({
      kind: 'release',
      task: 'monitoring.downtime',
      title: 'Give back what silence holds',
      releases: 0,
    });
  });

  test('is the same plan from the same values, and pins every task file', async () => {
    const [one, two] = await Promise.all([
      shipped('replace-node', { node: 'ceph-osd-02' }),
      shipped('replace-node', { node: 'ceph-osd-02' }),
    ]);
    const other = await shipped('replace-node', { node: 'ceph-osd-03' });
    expect(two).toEqual(one);
    expect(other.hash).not.toBe(one.hash);
    const { hash, steps, ...planned } = JSON.parse(JSON.stringify(one)) as typeof one;
    expect(hash).toBe(hashSteps(planned, steps));
    expect(Object.keys(one.tasks)).toEqual(
      [...new Set(one.steps.flatMap((step) => step.task ?? []))].toSorted(),
    );
  });
});

test('decommission-node and add-node compile', async () => {
  const gone = await shipped('decommission-node', { node: 'ceph-osd-01' });
  expect(gone.steps.map(({ id }) => id)).toContain('osd.purge@osd.1');
  const added = await shipped('add-node', { name: 'ceph-osd-09', beside: 'ceph-osd-01', osds: '2' });
  expect(added.target).toBe('ceph-osd-09');
  expect(stepOf(added, 'fill').with).toEqual({ name: 'ceph-osd-09', devices: 'all', at_least: 2 });
});

describe('compile: values that do not fit', () => {
  const text = `${head}params:
  node: { kind: node, about: N }
  count: { kind: integer, about: C, min: 1, default: 2 }
  who: { kind: contact, about: W, default: dc_team }
  osd: { kind: osd, about: O, default: osd.0 }
steps: [{ task: number.take, with: { number: "\${params.count}" } }]
`;

  test.each<[string, Record<string, Json>, string, string]>([
    [
      'an identity that the cluster does not have',
      { node: 'ceph-osd-02', osd: { id: 3, name: 'osd.3', uuid: 'forged', node: 'ceph-osd-02', weight: 1 } },
      'OSD_UNKNOWN',
      'parameter osd: osd.3 has uuid 00000000-0000-4000-8000-000000000003, not forged',
    ],
    [
      'a node with a slip in its name',
      { node: 'ceph-osd-2' },
      'NODE_UNKNOWN',
      'parameter node: no host "ceph-osd-2" is in the CRUSH map. Did you mean "ceph-osd-02"? It has ceph-osd-01, ceph-osd-02, ceph-osd-03, ceph-osd-04.',
    ],
    [
      'an OSD that is not there',
      { node: 'ceph-osd-02', osd: 'osd.77' },
      'OSD_UNKNOWN',
      'parameter osd: no OSD "osd.77" is in the OSD map. Did you mean "osd.7"? It has osd.0, osd.1, osd.2, osd.3, osd.4, osd.5, osd.6, osd.7.',
    ],
    [
      'all at once',
      { nod: 'a', count: '0', who: 'dc_taem', osd: 'osd.7' },
      'PARAM_INVALID',
      [
        'x has no parameter "nod": it takes node, count, who, osd. Did you mean "node"?',
        'parameter node: it has no value: expected a value (node: N)',
        'parameter count: "0" is not allowed: expected a whole number of at least 1',
        'parameter who: no contact "dc_taem" is in the config: expected one of dc_team. Did you mean "dc_team"?',
      ].join('\n'),
    ],
  ])('%s', (_, values, code, message) => {
    expect(() => compile(text, { values })).toThrow(expect.objectContaining({ code, message }));
  });

  test('a node given as an identity is looked up again', () => {
    const given = { name: 'ceph-osd-02', osds: [], location: [] };
    const plan = compile(text, { values: { node: given } });
    expect(plan.params['node']).toMatchObject({ osds: [{ id: 2 }, { id: 3 }] });
  });

  test('are found in steps too, with their place', () => {
    const steps = `${head}params: { count: { kind: integer, about: C } }
steps:
  - { task: number.take, with: { number: "\${params.count}" } }
  - { task: number.take, with: { number: "\${params.count / 0}" } }
  - { task: osd.touch, with: { osd: osd.9 } }
`;
    expect(() => compile(steps, { values: { count: '0' } })).toThrow(
      expect.objectContaining({
        code: 'EXPRESSION_FAILED',
        message: [
          'x.yaml:5:42  number: 0 is not allowed: expected a whole number of at least 1',
          'x.yaml:6:45  division by zero',
          'x.yaml:7:37  osd: no OSD "osd.9" is in the OSD map. Did you mean "osd.0"? It has osd.0, osd.1, osd.2, osd.3, osd.4, osd.5, osd.6, osd.7.',
        ].join('\n'),
      }),
    );
  });

  test('a playbook with mistakes is refused with all of them', () => {
    expect(() => compile(`${head}steps: [{ task: noop.d }]\n`)).toThrow(
      expect.objectContaining({
        code: 'PLAYBOOK_INVALID',
        message:
          'playbook x has a mistake:\nx.yaml:3:17  unknown task "noop.d": expected a name that cephflow tasks lists. Did you mean "noop.do"?',
      }),
    );
  });
});

describe('compile: groups', () => {
  test('nest, and name their members', () => {
    const plan = compile(
      `${head}params: { node: { kind: node, about: N } }
steps:
  - group:
      for-each: { letter: [a, b] }
      steps:
        - group:
            for-each: { osd: "\${params.node.osds}" }
            max-parallel: "\${size(params.node.osds) - 1}"
            steps: [{ task: text.say, id: say, with: { text: "\${letter}\${osd.id}" } }]
        - { task: noop.do, after: [say] }
  - { task: noop.do, id: last, after: [say] }
`,
      { values: { node: 'ceph-osd-01' } },
    );
    expect(linesOf(plan)).toEqual([
      'say@a@osd.0',
      'say@a@osd.1',
      'noop.do@a < say@a@osd.0, say@a@osd.1',
      'say@b@osd.0',
      'say@b@osd.1',
      'noop.do@b < say@b@osd.0, say@b@osd.1',
      'last < say@a@osd.0, say@a@osd.1, say@b@osd.0, say@b@osd.1',
    ]);
    expect(stepOf(plan, 'say@b@osd.1').with).toEqual({ text: 'b1' });
    expect(plan.groups.map(({ id, maxParallel }) => [id, maxParallel])).toEqual([
      ['group-2@a', 1],
      ['group-2@b', 1],
    ]);
  });

  test('without members let pass what stands before them, also for after', () => {
    const text = `${head}params: { node: { kind: node, about: N } }
steps:
  - { task: noop.do, id: a }
  - group: { for-each: { osd: "\${params.node.osds}" }, steps: [{ task: osd.touch, id: t, with: { osd: "\${osd}" } }] }
  - { task: noop.do, id: b }
  - { task: noop.do, id: c, after: [t] }
`;
    const plan = compile(text, { values: { node: 'ceph-osd-01' }, map: smallMap(2, 0) });
    expect(linesOf(plan)).toEqual(['a', 'b < a', 'c < a']);
  });

  test('may hold chains, and values that stand twice', () => {
    const plan = compile(`${head}steps:
  - group:
      steps:
        - chain: [{ task: noop.do, id: a }, { task: noop.do, id: b }]
        - { task: noop.do, id: c }
  - group: { for-each: { word: [x, x, "two words"] }, steps: [{ task: text.say, with: { text: "\${word}" } }] }
`);
    expect(linesOf(plan)).toEqual([
      'a',
      'b < a',
      'c',
      'barrier-1 < b, c',
      'text.say@x < barrier-1',
      'text.say@1 < barrier-1',
      'text.say@2 < barrier-1',
    ]);
  });
});

test('compile: settings of steps, and conditions that are known', () => {
  const plan = compile(
    `${head}params: { quick: { kind: boolean, about: Q } }
steps:
  - { task: noop.do, id: a, retry: { attempts: 3, delay: 10s }, timeout: { after: 1h, then: fail }, poll: 5s, delay: 1m }
  - { task: noop.do, id: b, when: "\${params.quick}" }
  - { task: noop.do, id: c, when: "!params.quick" }
`,
    { values: { quick: 'true' } },
  );
  expect(stepOf(plan, 'a')).toMatchObject({
    retry: { attempts: 3, delayMs: 10_000 },
    timeout: { afterMs: 3_600_000, outcome: 'fail' },
    pollMs: 5000,
    delayMs: 60_000,
  });
  expect(stepOf(plan, 'b').when).toBeUndefined();
  expect(evaluateWhen(stepOf(plan, 'b'), {})).toBe(true);
  expect(evaluateWhen(stepOf(plan, 'c'), {})).toBe(false);
});
