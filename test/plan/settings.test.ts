import { describe, expect, test } from 'vitest';
import { checkPlaybook } from '../../src/plan/check.ts';
import { parsePlaybook } from '../../src/plan/parse.ts';
import { formatProblems } from '../../src/plan/problems.ts';
import { compile, head, playbookOf, smallTasks, stepOf } from './support.ts';

const tasks = new Map([...smallTasks()].map(([name, { task }]) => [name, task]));

/** List all that is wrong with a playbook, as lint does. */
function lint(text: string): readonly string[] {
  const { draft, problems } = parsePlaybook(text, 'x.yaml');
  const found = draft ? checkPlaybook(draft, tasks, new Map()) : [];
  return formatProblems([...problems, ...found]).split('\n');
}

describe('step settings', () => {
  test('stand in the plan as they are written', () => {
    const plan = compile(`${head}steps:
  - task: noop.do
    id: act
    retry: { attempts: 3, delay: 10s, max-delay: 5m, on: [SSH_UNREACHABLE, COMMAND_TIMED_OUT] }
    timeout: { after: 1h, then: fail }
    poll: 5s
    delay: 1m
    limit: 10m
    queue: slow-disks
    priority: -20
    rate: { name: bmc, most: 5, per: 1m }
    approvers: [ada, grace]
    payload: { ticket: OPS-12, parts: [1, null, { rack: r12 }] }
`);
    expect(stepOf(plan, 'act')).toEqual({
      id: 'act',
      kind: 'task',
      task: 'noop.do',
      risk: 'changes',
      title: 'Do nothing',
      with: {},
      after: [],
      part: 'main',
      places: [],
      retry: {
        attempts: 3,
        delayMs: 10_000,
        longestDelayMs: 300_000,
        on: ['SSH_UNREACHABLE', 'COMMAND_TIMED_OUT'],
      },
      timeout: { afterMs: 3_600_000, outcome: 'fail' },
      pollMs: 5000,
      delayMs: 60_000,
      limitMs: 600_000,
      queue: 'slow-disks',
      priority: -20,
      rate: { name: 'bmc', most: 5, perMs: 60_000 },
      approvers: ['ada', 'grace'],
      payload: { ticket: 'OPS-12', parts: [1, null, { rack: 'r12' }] },
    });
  });

  test('of retries keep their short form, and a rate without a name is the step’s own', () => {
    const plan = compile(`${head}steps:
  - group:
      for-each: { letter: [a, b] }
      steps: [{ task: noop.do, id: act, retry: { attempts: 2, delay: 1s }, rate: { most: 1, per: 1h } }]
`);
    for (const id of ['act@a', 'act@b']) {
      expect(stepOf(plan, id).retry).toEqual({ attempts: 2, delayMs: 1000 });
      expect(stepOf(plan, id).rate).toEqual({ name: 'x/act', most: 1, perMs: 3_600_000 });
    }
  });

  test('that make no sense are all told at once, each with its place', () => {
    const text = `${head}steps:
  - { task: noop.do, retry: { attempts: 2, delay: 1m, max-delay: 1s } }
  - { task: noop.do, retry: { attempts: 2, delay: 1m, on: [SSH_UNREACHABEL, Nonsense] } }
  - { task: noop.do, retry: { attempts: 2, delay: 1m, on: [] } }
  - { task: noop.do, limit: 0s }
  - { task: noop.do, queue: "Slow disks" }
  - { task: noop.do, priority: 101 }
  - { task: noop.do, priority: high }
  - { task: noop.do, rate: { name: "a b", most: 0, per: 0s } }
  - { task: noop.do, rate: { name: "\${params.x}", most: 1, pre: 1s } }
  - { task: noop.do, approvers: [] }
  - { task: noop.do, approvers: ["ada lovelace", 3] }
  - { task: noop.do, payload: { who: ["\${params.x}"] } }
  - { task: noop.do, payload: ${'x'.repeat(4095)} }
  - { task: noop.do, retires: { attempts: 2 } }
`;
    const keys =
      'task, id, with, after, when, lock, retry, timeout, poll, delay, limit, queue, priority, rate, approvers, payload';
    expect(lint(text)).toEqual([
      'x.yaml:4:66  max-delay is shorter than delay: expected the longest pause, as pauses double',
      'x.yaml:5:60  unknown code "SSH_UNREACHABEL" in on: expected a code of docs/errors.md. Did you mean "SSH_UNREACHABLE"?',
      'x.yaml:5:77  unknown code "Nonsense" in on: expected a code of docs/errors.md.',
      'x.yaml:6:59  on is empty: expected codes of errors',
      'x.yaml:7:29  limit is 0: expected more than no time',
      'x.yaml:8:29  "Slow disks" is no name of a queue: expected at most 40 of a-z, 0-9 and -, such as slow-disks',
      'x.yaml:9:32  priority is 101: expected a whole number from -100 to 100, of which the higher goes first',
      'x.yaml:10:32  priority is "high": expected a whole number from -100 to 100, of which the higher goes first',
      'x.yaml:11:36  the name "a b" cannot be shared: expected 1 to 200 characters without spaces, such as node/ceph-osd-07',
      'x.yaml:11:49  most is 0: expected a whole number of at least 1',
      'x.yaml:11:57  per is 0: expected more than no time',
      'x.yaml:12:28  per is absent: expected a duration such as 10m or 12h',
      'x.yaml:12:36  a rate is named as it is written: expected no expression in it',
      'x.yaml:12:60  unknown key "pre" in a rate: expected one of name, most, per. Did you mean "per"?',
      'x.yaml:13:33  approvers is empty: expected names of users',
      'x.yaml:14:34  "ada lovelace" is no name of a user: expected a name without spaces',
      'x.yaml:14:50  an approver is 3: expected a text',
      'x.yaml:15:39  a payload is taken as it is written: expected no expression in it',
      'x.yaml:16:31  payload has 4097 bytes as JSON: expected at most 4096',
      `x.yaml:17:22  unknown key "retires" in a step: expected one of ${keys}. Did you mean "retry"?`,
    ]);
  });
});

describe('playbook settings', () => {
  const inner = playbookOf(
    `playbook: inner
summary: s
priority: 7
steps: [{ task: noop.do, id: one }, { task: noop.do, id: two, queue: other }]
`,
    'inner.yaml',
  );

  test('are what all steps say unless they, or the playbook that they come from, say otherwise', () => {
    const plan = compile(
      `${head}queue: bulk
priority: -5
payload: [ticket, 12]
deadline: 7d
steps:
  - { task: device.find, id: find, with: { name: n } }
  - { task: noop.do, id: own, priority: 50 }
  - { playbook: inner, id: inc }
  - group: { for-each: { d: "\${steps.find.output.device}" }, at-most: 3, steps: [{ task: noop.do, id: late }] }
finally: [{ task: noop.do, id: last }]
`,
      { playbooks: new Map([['inner', inner]]) },
    );
    const said = plan.steps.map(({ id, queue, priority }) => [id, queue, priority]);
    expect(said).toEqual([
      ['find', 'bulk', -5],
      ['own', 'bulk', 50],
      ['inc/one', 'bulk', 7],
      ['inc/two', 'other', 7],
      ['group', 'bulk', -5],
      ['last', 'bulk', -5],
    ]);
    expect(stepOf(plan, 'group').expansion?.steps[0]).toMatchObject({ queue: 'bulk', priority: -5 });
    expect(plan.payload).toEqual(['ticket', 12]);
    const given = compile(`${head}payload: [ticket, 12]\nsteps: [{ task: noop.do }]\n`, { payload: null });
    expect(given.payload).toBe(null);
    expect(plan.deadline).toEqual({ afterMs: 7 * 86_400_000, outcome: 'ask' });
  });

  test('end the run as they say, and are absent where they are not written', () => {
    const aborted = compile(`${head}deadline: { after: 2h, then: abort }\nsteps: []\n`);
    expect(aborted.deadline).toEqual({ afterMs: 7_200_000, outcome: 'abort' });
    const plain = compile(`${head}steps: [{ task: noop.do }]\n`);
    expect(plain).not.toHaveProperty('deadline');
    expect(plain).not.toHaveProperty('payload');
    expect(plain.steps[0]).not.toHaveProperty('priority');
  });

  test('that make no sense are told', () => {
    expect(lint(`${head}deadline: { after: 2h, then: fail }\nsteps: []\n`)).toEqual([
      'x.yaml:3:30  then is "fail": expected one of ask, abort.',
    ]);
    expect(lint(`${head}deadline: 0s\npriority: 1.5\nqueue: ""\nsteps: []\n`)).toEqual([
      'x.yaml:3:11  deadline is 0: expected more than no time',
      'x.yaml:4:11  priority is 1.5: expected a whole number from -100 to 100, of which the higher goes first',
      'x.yaml:5:8  queue is "": expected a text',
    ]);
  });
});

describe('locks', () => {
  test('of a group are taken by each step of it, with those of the step, evaluated for its member', () => {
    const plan = compile(
      `${head}params: { node: { kind: node, about: N } }
lock: [{ name: "rack/\${params.node.location[0].name}", capacity: 2 }, "node/\${params.node.name}"]
steps:
  - group:
      for-each: { osd: "\${params.node.osds}" }
      lock: ["osd/\${osd.uuid}", { name: shared, capacity: 5 }]
      steps:
        - { task: noop.do, id: one, lock: [{ name: shared, capacity: 3 }] }
        - { task: noop.do, id: two }
  - { task: noop.do, id: free }
`,
      { values: { node: 'ceph-osd-01' } },
    );
    expect(plan.locks).toEqual([
      { name: 'node/ceph-osd-01', capacity: 1 },
      { name: 'rack/rack-1', capacity: 2 },
    ]);
    const uuid = '00000000-0000-4000-8000-000000000001';
    expect(stepOf(plan, 'one@osd.1').locks).toEqual([
      { name: `osd/${uuid}`, capacity: 1 },
      { name: 'shared', capacity: 3 },
    ]);
    expect(stepOf(plan, 'two@osd.1').locks).toEqual([
      { name: `osd/${uuid}`, capacity: 1 },
      { name: 'shared', capacity: 5 },
    ]);
    expect(stepOf(plan, 'free')).not.toHaveProperty('locks');
  });

  test('that make no sense are told with their places', () => {
    const text = `${head}params: { word: { kind: text, about: W } }
lock: [{ name: a, capacity: 0 }, { capacity: 2 }, { name: b, capacty: 2 }, "two words"]
steps:
  - { task: device.find, id: find, with: { name: n }, lock: ["${'x'.repeat(201)}", "\${parms.word}"] }
  - { task: noop.do, lock: ["\${steps.find.output.device}"] }
  - { task: noop.do, lock: node }
`;
    expect(lint(text)).toEqual([
      'x.yaml:4:29  capacity is 0: expected a whole number of at least 1',
      'x.yaml:4:34  the lock has no name: expected the key name',
      'x.yaml:4:62  unknown key "capacty" in a lock: expected one of name, capacity. Did you mean "capacity"?',
      'x.yaml:4:76  the name "two words" cannot be shared: expected 1 to 200 characters without spaces, such as node/ceph-osd-07',
      'x.yaml:6:62  a name of 201 characters cannot be shared: expected 1 to 200 characters without spaces, such as node/ceph-osd-07',
      expect.stringMatching(/^x\.yaml:6:\d+ {2}unknown name parms: .*Did you mean "params"\?$/),
      'x.yaml:7:32  steps.find.output.device is known only while the run is under way: expected what is known when the plan is made',
      'x.yaml:8:28  lock is "node": expected a list',
    ]);
  });

  test('whose names turn out to be none are refused when the plan is made', () => {
    const text = `${head}params: { word: { kind: text, about: W } }\nlock: ["rack/\${params.word}"]\nsteps: []\n`;
    expect(() => compile(text, { values: { word: 'a b' } })).toThrow(
      expect.objectContaining({
        code: 'EXPRESSION_FAILED',
        message:
          'x.yaml:4:8  lock: the name "rack/a b" cannot be shared: expected 1 to 200 characters without spaces, such as node/ceph-osd-07',
      }),
    );
  });
});
