import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CompileContext, compilePlan } from '../../src/plan/compile.ts';
import { parsePlaybook } from '../../src/plan/parse.ts';
import type { Plan, PlanStep } from '../../src/plan/plan.ts';
import type { Playbook } from '../../src/plan/playbook.ts';
import { formatProblems } from '../../src/plan/problems.ts';
import type { NodeState, OsdMap, OsdState } from '../../src/task/ceph.ts';
import { hostname, integer, node, number, osd, text } from '../../src/task/params.ts';
import { isTask, type Task, task } from '../../src/task/task.ts';

/** Build the map of a small cluster: nodes ceph-osd-01 and so on in racks, two OSDs each, numbered through. */
export function smallMap(nodeCount = 4, osdsPerNode = 2): OsdMap {
  const nodes: NodeState[] = [];
  const osds: OsdState[] = [];
  for (let index = 0; index < nodeCount; index += 1) {
    const name = `ceph-osd-0${index + 1}`;
    const osdIds = Array.from({ length: osdsPerNode }, (_, one) => index * osdsPerNode + one);
    const location = [
      { type: 'rack', name: `rack-${(index % 2) + 1}` },
      { type: 'root', name: 'default' },
    ];
    nodes.push({ name, osdIds, location });
    for (const id of osdIds) {
      osds.push({
        id,
        uuid: `00000000-0000-4000-8000-00000000000${id}`,
        node: name,
        isUp: true,
        isIn: true,
        isDestroyed: false,
        weight: 1,
        deviceClass: 'hdd',
      });
    }
  }
  const pools = [{ id: 1, name: 'data', size: 3, minSize: 2, ruleId: 0, pgCount: 32 }];
  return { epoch: 7, fsid: 'f5f5', osds, nodes, pools, flags: [], backfillfullRatio: 0.9 };
}

/** Build small tasks with the kinds of parameters that playbooks use. */
export function smallTasks(): ReadonlyMap<string, { readonly task: Task; readonly hash: string }> {
  const run = async () => ({});
  const tasks = [
    task({ name: 'noop.do', summary: 'Do nothing', risk: 'changes', params: {}, run }),
    task({
      name: 'osd.touch',
      summary: 'Touch an OSD; nothing happens',
      risk: 'changes',
      params: { osd: osd('The OSD') },
      run,
    }),
    task({
      name: 'node.weigh',
      summary: 'Set the weight of a node',
      risk: 'changes',
      params: { node: node('The node'), weight: number('The weight', { min: 0 }) },
      run,
    }),
    task({
      name: 'device.find',
      summary: 'Find a device',
      risk: 'changes',
      params: { name: hostname('The node') },
      output: { device: 'Its path', count: 'How many there are' },
      run,
    }),
    task({
      name: 'text.say',
      summary: 'Say a text',
      risk: 'changes',
      params: { text: text('The text') },
      run,
    }),
    task({
      name: 'number.take',
      summary: 'Take a number',
      risk: 'changes',
      params: { number: integer('The number', { min: 1 }) },
      run,
    }),
  ];
  return new Map(tasks.map((one) => [one.name, { task: one, hash: `hash of ${one.name}` }]));
}

/** Build what a playbook is compiled with. */
export function smallContext(more: Partial<CompileContext> = {}): CompileContext {
  return {
    tasks: smallTasks(),
    playbooks: new Map(),
    values: {},
    map: smallMap(),
    health: { status: 'HEALTH_OK', checks: [] },
    cluster: 'lab',
    contacts: ['dc_team'],
    ...more,
  };
}

/** Parse a playbook that must have no problems. */
export function playbookOf(text: string, file = 'x.yaml'): Playbook {
  const { playbook, problems } = parsePlaybook(text, file);
  if (playbook) return playbook;
  throw new Error(formatProblems(problems));
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Load the tasks of the library. */
export async function libraryTasks(): Promise<ReadonlyMap<string, { task: Task; hash: string }>> {
  const tasks = new Map<string, { task: Task; hash: string }>();
  for (const file of readdirSync(`${root}tasks`).filter((name) => name.endsWith('.ts'))) {
    const loaded: { default?: unknown } = await import(`${root}tasks/${file}`);
    if (isTask(loaded.default)) tasks.set(loaded.default.name, { task: loaded.default, hash: file });
  }
  return tasks;
}

/** Parse the playbooks that are shipped, by name. */
export function shippedPlaybooks(): ReadonlyMap<string, Playbook> {
  const files = readdirSync(`${root}playbooks`).filter((name) => name.endsWith('.yaml'));
  const all = files.map((file) => playbookOf(readFileSync(`${root}playbooks/${file}`, 'utf8'), file));
  return new Map(all.map((playbook) => [playbook.name, playbook]));
}

/** First lines of a small playbook. */
export const head = 'playbook: x\nsummary: s\n';
/** Compile the text of a playbook against the small cluster. */
export function compile(text: string, more: Partial<CompileContext> = {}): Plan {
  return compilePlan(playbookOf(text), smallContext(more));
}

/** Write the graph as lines `id < what it comes after`. */
export function linesOf(plan: Plan): readonly string[] {
  return plan.steps.map(({ id, after, part }) => {
    const before = after.map((index) => plan.steps[index]?.id).join(', ');
    return `${part === 'main' ? '' : 'finally: '}${id}${before === '' ? '' : ` < ${before}`}`;
  });
}

/** Find a step by its id. */
export function stepOf(plan: Plan, id: string): PlanStep {
  const found = plan.steps.find((step) => step.id === id);
  if (!found) throw new Error(`no step ${id} in ${plan.steps.map((step) => step.id).join(' ')}`);
  return found;
}
