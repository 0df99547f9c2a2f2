import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkPlaybook } from '../../src/plan/check.ts';
import { compilePlan } from '../../src/plan/compile.ts';
import { parsePlaybook } from '../../src/plan/parse.ts';
import { formatProblems } from '../../src/plan/problems.ts';
import { hostname } from '../../src/task/params.ts';
import { task } from '../../src/task/task.ts';
import { libraryTasks, playbookOf, shippedPlaybooks, smallContext } from './support.ts';

const page = readFileSync(new URL('../../docs/playbooks.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => text ?? '');

const own = task({
  name: 'device.list',
  summary: 'List the free devices of a node',
  risk: 'changes',
  params: { name: hostname('The node') },
  output: { devices: 'Their paths' },
  run: async () => ({ devices: [] }),
});

/** Make a whole playbook of an example. */
function wholeOf(block: string): string {
  if (block.startsWith('playbook:')) return block;
  const head = 'playbook: example\nsummary: An example\n';
  if (!block.startsWith('-')) return `${head}${block}steps: []\n`;
  return `${head}params: { node: { kind: node, about: N } }\nsteps:\n${block.replaceAll(/^/gm, '  ')}\n`;
}

/** List the keys that may stand where a key stands that does not exist. */
function keysAt(text: string): readonly string[] {
  const { problems } = parsePlaybook(text, 'x.yaml');
  const lists = problems.map(({ message }) => /"nokey" .*expected one of ([^.]*)\./.exec(message)?.[1] ?? '');
  return lists.join(', ').split(', ');
}

describe('docs/playbooks.md', () => {
  test.each(blocks)('says what is right: example %#', async (block) => {
    const tasks = new Map([...(await libraryTasks()), ['device.list', { task: own, hash: 'h' }]]);
    const playbooks = shippedPlaybooks();
    const playbook = playbookOf(wholeOf(block), 'playbooks.md');
    const known = new Map([...tasks].map(([name, one]) => [name, one.task]));
    expect(formatProblems(checkPlaybook(playbook, known, playbooks))).toBe('');
    const values = { node: 'ceph-osd-01' };
    const plan = compilePlan(playbook, smallContext({ tasks, playbooks, values }));
    expect(plan.steps.length > 0 || !wholeOf(block).includes('task:')).toBe(true);
  });

  test('has examples, and names every key that there is', () => {
    expect(blocks.length).toBeGreaterThan(6);
    const body = 'params: { a: { nokey: 1 } }\nlock: [{ nokey: 1 }]\ndeadline: { nokey: 1 }\nsteps:';
    const keys = keysAt(`nokey: 1\n${body}
  - { task: a.b, nokey: 1, retry: { nokey: 1 }, timeout: { nokey: 1 }, rate: { nokey: 1 } }
  - { playbook: a, nokey: 1 }
  - { chain: [], nokey: 1 }
  - { nokey: 1, group: { nokey: 1, steps: [] } }
`);
    expect(keys.length).toBeGreaterThan(50);
    expect([...new Set(keys)].filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
    const exampled = blocks.join('\n');
    expect([...new Set(keys)].filter((key) => !new RegExp(`\\b${key}:`).test(exampled))).toEqual([]);
  });
});
