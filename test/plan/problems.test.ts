import { describe, expect, test } from 'vitest';
import { checkPlaybook } from '../../src/plan/check.ts';
import { parsePlaybook } from '../../src/plan/parse.ts';
import type { Playbook } from '../../src/plan/playbook.ts';
import { formatProblems, refuseProblems } from '../../src/plan/problems.ts';
import { libraryTasks, playbookOf, shippedPlaybooks, smallTasks } from './support.ts';

const parseProblems = (text: string) => formatProblems(parsePlaybook(text, 'x.yaml').problems).split('\n');

const tasks = new Map([...smallTasks()].map(([name, { task }]) => [name, task]));

function checkProblems(text: string, includes: readonly Playbook[] = []): readonly string[] {
  const known = new Map(includes.map((one) => [one.name, one]));
  return formatProblems(checkPlaybook(playbookOf(text), tasks, known)).split('\n');
}

const head = 'playbook: x\nsummary: s\n';

describe('playbooks: mistakes of form', () => {
  test('are all reported at once, each with its place and the nearest right name', () => {
    const text = `playbook: Replace_Node
sumary: a
params:
  node: { kind: nod, about: A }
  new-node: { kind: hostname }
  size: { kind: choice, about: Size, mn: 3 }
steps:
  - tsk: noop.do
  - { task: noop.do, timeout: { after: 12, then: aks }, pol: 3s }
  - { task: noop.do, id: A-b, retry: { attempts: 0 } }
  - { task: noop.do, queue: fast, priority: 3, on-failure: undo }
  - group: { for-each: { a: "\${params.x}", b: 2 } }
  - { task: noop.do, group: { steps: [] } }
  - { id: nothing }
  - just a text
`;
    expect(parseProblems(text)).toEqual([
      'x.yaml:1:1  the playbook has no summary: expected the key summary',
      'x.yaml:1:11  "Replace_Node" is no name of a playbook: expected a name such as replace-node',
      'x.yaml:2:1  unknown key "sumary" in a playbook: expected one of playbook, summary, params, lock, deadline, queue, priority, payload, steps, finally. Did you mean "summary"?',
      'x.yaml:4:17  unknown kind "nod": expected one of node, osd, osds, hostname, devices, contact, text, number, integer, boolean, duration, choice, json. Did you mean "node"?',
      'x.yaml:5:3  "new-node" is no name of a parameter: expected [a-z][a-z0-9_]*, such as new_node',
      'x.yaml:5:3  parameter new-node has no about: expected a phrase that says what it is',
      'x.yaml:6:3  parameter size is a choice without choices: expected choices: [one, other]',
      'x.yaml:6:38  unknown key "mn" in a parameter: expected one of kind, about, default, min, max, choices. Did you mean "min"?',
      'x.yaml:8:5  unknown key "tsk" in a step: expected one of task, group, chain, playbook. Did you mean "task"?',
      'x.yaml:9:40  after is 12: expected a duration such as 30s, 10m, 12h or 2d',
      'x.yaml:9:50  then is "aks": expected one of ask, fail. Did you mean "ask"?',
      'x.yaml:9:57  unknown key "pol" in a step: expected one of task, id, with, after, when, lock, retry, timeout, poll, delay, limit, queue, priority, rate, approvers, payload. Did you mean "poll"?',
      'x.yaml:10:26  "A-b" is no id: expected [a-z][a-z0-9_]* (a hyphen would be a minus in expressions)',
      'x.yaml:10:38  delay is absent: expected a duration such as 10m or 12h',
      'x.yaml:10:50  attempts is 0: expected a whole number of at least 1',
      'x.yaml:11:48  unknown key "on-failure" in a step: expected one of task, id, with, after, when, lock, retry, timeout, poll, delay, limit, queue, priority, rate, approvers, payload.',
      'x.yaml:12:12  the group has no steps: expected the key steps',
      `x.yaml:12:24  for-each has more than one variable: expected one variable over a list, such as { osd: "\${params.node.osds}" }`,
      'x.yaml:13:5  a step has both task and group: expected one of them',
      'x.yaml:14:5  this does nothing: expected one of task, group, chain, playbook.',
      'x.yaml:15:5  "just a text" is not a step: expected a mapping with task, id, with, after, when, lock, retry, timeout, poll, delay, limit, queue, priority, rate, approvers, payload',
    ]);
  });

  test('include YAML itself, all of it', () => {
    expect(parseProblems('playbook: x\nplaybook: y\nsteps:\n\t- a\nsummary: [1, 2\n')).toEqual([
      'x.yaml:2:1  this is not YAML: the same key stands twice in one mapping',
      'x.yaml:4:1  this is not YAML: a tab is used to indent; expected spaces',
      'x.yaml:6:1  this is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ]);
  });

  test('include an empty file, aliases, and numbers that JSON cannot keep', () => {
    expect(parseProblems('')).toEqual([
      'x.yaml:1:1  nothing is not a playbook: expected a mapping with playbook, summary, params, lock, deadline, queue, priority, payload, steps, finally',
    ]);
    expect(parseProblems(`${head}steps: &a []\nfinally: *a\n`)).toEqual([
      'x.yaml:4:10  *a is an alias: expected the value written out',
      'x.yaml:4:10  finally is nothing: expected a list',
    ]);
    expect(parseProblems(`${head}steps:\n  - { task: noop.do, with: { a: 9007199254740993 } }\n`)).toEqual([
      'x.yaml:4:33  9007199254740993 is no number that JSON keeps exactly',
    ]);
  });

  test('include an id that stands twice, also in groups and finally', () => {
    const text = `${head}steps:
  - { task: noop.do, id: a }
  - group: { steps: [{ task: noop.do, id: a }] }
finally:
  - { task: noop.do, id: a }
`;
    expect(parseProblems(text)).toEqual([
      'x.yaml:5:43  id "a" stands twice: expected another name than in line 4',
      'x.yaml:7:26  id "a" stands twice: expected another name than in line 5',
    ]);
  });
});

describe('playbooks: mistakes of both kinds in one file', () => {
  const lint = (text: string) => {
    const { playbook, draft, problems } = parsePlaybook(text, 'x.yaml');
    expect(playbook).toBeUndefined();
    return formatProblems([...problems, ...(draft ? checkPlaybook(draft, tasks, new Map()) : [])]).split(
      '\n',
    );
  };

  test('form, tasks, parameters, expressions and durations are told together', () => {
    const text = `${head}params:
  share: { kind: nod, about: A share }
steps:
  - { task: noop.doo }
  - { task: osd.touch, with: { osd: "\${params.shar}" }, timeout: { after: 5min } }
  - { task: noop.do, with: { wieght: 0 }, pol: 3s }
`;
    expect(lint(text)).toEqual([
      expect.stringContaining('x.yaml:4:18  unknown kind "nod"'),
      'x.yaml:6:13  unknown task "noop.doo": expected a name that cephflow tasks lists. Did you mean "noop.do"?',
      expect.stringMatching(/^x\.yaml:7:\d+ {2}there is no shar: expected one of share/),
      expect.stringMatching(/^x\.yaml:7:\d+ {2}after is "5min": expected a duration/),
      'x.yaml:8:30  noop.do has no parameter "wieght": it has none.',
      expect.stringContaining('x.yaml:8:43  unknown key "pol" in a step'),
    ]);
  });

  test('nothing is told that only follows from what could not be read', () => {
    const text = `${head}params:
  node: { kind: nod, about: A node }
steps:
  - { id: first, tsk: noop.do }
  - { task: noop.do, after: [first] }
  - { task: osd.touch, whit: { osd: osd.3 } }
  - group: { for-each: [1], steps: [{ task: osd.touch, with: { osd: "\${osd}" } }] }
  - { task: node.weigh, with: { node: "\${params.node}", weight: 1 } }
`;
    expect(lint(text)).toEqual([
      expect.stringContaining('x.yaml:4:17  unknown kind "nod"'),
      expect.stringContaining('x.yaml:6:18  unknown key "tsk" in a step'),
      expect.stringContaining('x.yaml:8:24  unknown key "whit" in a step'),
      expect.stringContaining('x.yaml:9:24  for-each has a list'),
    ]);
  });

  test('a key that stands twice does not hide the rest', () => {
    expect(lint(`${head}summary: again\nsteps:\n  - { task: noop.doo }\n`)).toEqual([
      'x.yaml:3:1  this is not YAML: the same key stands twice in one mapping',
      expect.stringContaining('x.yaml:5:13  unknown task "noop.doo"'),
    ]);
  });
});

describe('playbooks: mistakes that a look at tasks and names finds', () => {
  test('are all reported at once, each with its place and the nearest right name', () => {
    const text = `${head}params:
  node: { kind: node, about: The node }
  share: { kind: number, default: much, about: A share }
  other: { kind: text, default: "\${params.nodee.name}", about: A text }
lock: ["node/\${params.node}", "\${params.node.nme}"]
steps:
  - { task: noop.doo }
  - { task: osd.touch }
  - { task: node.weigh, with: { node: "\${params.node}", wieght: 0 } }
  - { task: node.weigh, with: { node: "\${params.share}", weight: -1 } }
  - { task: number.take, with: { number: "\${params.share}" } }
  - { task: text.say, with: { text: "\${size(params.node.osds)}" } }
  - { task: text.say, with: { text: "there are \${params.node.osds" } }
  - { task: text.say, with: { text: "there are \${count}" }, when: "\${params.node.name}" }
  - { task: noop.do, with: { a: 1 } }
  - group:
      for-each: { params: "\${params.node.osds}" }
      max-parallel: 0
      steps: [{ task: noop.do }]
  - group:
      for-each: { osd: "\${params.node.name}" }
      max-parallel: "\${params.share}"
      steps: [{ task: osd.touch, with: { osd: "\${ods}" } }]
  - { playbook: replace-nod }
`;
    expect(checkProblems(text, [playbookOf(`playbook: replace-node\nsummary: s\nsteps: []\n`)])).toEqual([
      'x.yaml:5:35  share is "much": expected a number',
      'x.yaml:6:43  there is no nodee: expected one of node, share. Did you mean "node"?',
      'x.yaml:7:16  a node cannot stand inside a text: expected a text or a number, such as a name',
      'x.yaml:7:46  there is no nme: expected one of name, osds, location. Did you mean "name"?',
      'x.yaml:9:13  unknown task "noop.doo": expected a name that cephflow tasks lists. Did you mean "noop.do"?',
      'x.yaml:10:13  osd.touch needs osd: expected a value (osd: The OSD)',
      'x.yaml:11:13  node.weigh needs weight: expected a value (number: The weight)',
      'x.yaml:11:57  node.weigh has no parameter "wieght": expected one of node, weight. Did you mean "weight"?',
      'x.yaml:12:39  node is a number: expected a node (The node)',
      'x.yaml:12:66  weight is -1: expected a number of at least 0',
      'x.yaml:13:42  number is a number: expected a whole number (The number)',
      'x.yaml:14:37  text is a whole number: expected a text (The text)',
      `x.yaml:15:48  \${ has no closing brace`,
      'x.yaml:16:50  unknown name count: expected one of params, steps.',
      'x.yaml:16:67  when is a text: expected true or false',
      'x.yaml:17:30  noop.do has no parameter "a": it has none.',
      'x.yaml:19:19  the name params is taken already: expected another one for this variable',
      'x.yaml:20:21  max-parallel is 0: expected a whole number of at least 1',
      `x.yaml:23:24  for-each goes over "\${params.node.name}": expected a list`,
      `x.yaml:24:21  max-parallel is "\${params.share}": expected a whole number of at least 1`,
      'x.yaml:25:50  unknown name ods: expected one of osd, params, steps. Did you mean "osd"?',
      'x.yaml:26:17  unknown playbook "replace-nod": expected a name that cephflow playbooks lists. Did you mean "replace-node"?',
    ]);
  });

  test('include outputs that are not there, or not yet', () => {
    const text = `${head}params:
  node: { kind: node, about: The node }
steps:
  - { task: text.say, with: { text: "\${steps.find.output.device}" } }
  - { task: device.find, id: find, with: { name: "\${params.node.name}" } }
  - { task: text.say, with: { text: "\${steps.fnd.output.device}" } }
  - { task: text.say, with: { text: "\${steps.find.output.devise}" } }
  - { task: text.say, with: { text: "\${steps.find.device}" } }
  - { task: text.say, with: { text: "\${steps.many.output.device}" } }
  - id: many
    group:
      for-each: { osd: "\${params.node.osds}" }
      steps:
        - { task: device.find, id: inside, with: { name: "\${osd.node}" } }
        - { task: text.say, with: { text: "\${steps.inside.output.device}" } }
  - { task: text.say, with: { text: "\${steps.inside.output.device}" } }
  - group:
      for-each: { device: "\${steps.find.output.device}" }
      steps: [{ task: text.say, with: { text: "\${device}" } }]
  - group:
      steps:
        - { task: device.find, id: left, with: { name: n } }
        - { task: text.say, with: { text: "\${steps.left.output.device}" } }
finally:
  - { task: text.say, with: { text: "\${steps.find.output.device}" } }
`;
    expect(checkProblems(text)).toEqual([
      'x.yaml:6:40  find does not come before text.say: expected a step that it waits for',
      'x.yaml:8:40  there is no step fnd: expected the id of a step before this one. Did you mean "find"?',
      'x.yaml:9:40  device.find has no output devise: expected one of device, count. Did you mean "device"?',
      'x.yaml:10:40  steps.find.device is no output of a step: expected steps.ID.output.NAME',
      'x.yaml:11:40  many is a group, which has no output: expected a step',
      'x.yaml:18:40  inside is done once for each member of a group: expected a step outside of it',
      'x.yaml:20:27  for-each goes over an output, whose length nobody knows yet: expected at-most, the most there may be',
      'x.yaml:25:46  left does not come before text.say-9: expected a step that it waits for',
    ]);
  });

  test('include what after names, and circles', () => {
    const text = `${head}steps:
  - { task: noop.do, id: first }
  - { task: noop.do, id: second, after: [frist] }
finally:
  - { task: noop.do, id: third, after: [first] }
`;
    expect(checkProblems(text)).toEqual([
      'x.yaml:5:42  there is no step "frist": expected an id of this playbook. Did you mean "first"?',
      'x.yaml:7:41  first stands in another part: steps and finally are tied only among themselves',
    ]);
    const circle = `${head}steps:
  - { task: noop.do, id: first, after: [second] }
  - { task: noop.do, id: second }
`;
    expect(checkProblems(circle)).toEqual([
      'x.yaml:4:26  these steps wait for one another: first, second, first',
    ]);
  });

  test('include playbooks that include themselves, and mistakes in what they include', () => {
    const a = playbookOf('playbook: a\nsummary: s\nsteps: [{ playbook: b, with: { q: 1 } }]\n', 'a.yaml');
    const b = playbookOf(
      'playbook: b\nsummary: s\nparams: { p: { kind: text, about: P } }\nsteps: [{ playbook: a }]\n',
      'b.yaml',
    );
    const includes = new Map([a, b].map((one) => [one.name, one]));
    expect(formatProblems(checkPlaybook(a, tasks, includes)).split('\n')).toEqual([
      'a.yaml:3:21  b needs p: expected a value (text: P)',
      'a.yaml:3:32  b has no parameter "q": expected one of p. Did you mean "p"?',
      'b.yaml:4:21  a includes itself: a → b → a',
    ]);
  });

  test('refuse the playbook with the whole list', () => {
    const problems = parsePlaybook('playbook: x\nsteps: 3\n', 'x.yaml').problems;
    expect(() => refuseProblems('x', problems)).toThrow(
      [
        'playbook x has 2 mistakes:',
        'x.yaml:1:1  the playbook has no summary: expected the key summary',
        'x.yaml:2:8  steps is 3: expected a list',
      ].join('\n'),
    );
    expect(() => refuseProblems('x', [])).not.toThrow();
  });
});

test('playbooks: those that are shipped have no mistakes with the tasks that are shipped', async () => {
  const library = new Map([...(await libraryTasks())].map(([name, { task }]) => [name, task]));
  const shipped = shippedPlaybooks();
  expect([...shipped.keys()].toSorted()).toEqual(
    expect.arrayContaining(['add-node', 'decommission-node', 'replace-node']),
  );
  for (const playbook of shipped.values()) {
    expect(formatProblems(checkPlaybook(playbook, library, shipped))).toBe('');
  }
});
