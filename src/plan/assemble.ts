import { CephflowError } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import type { Health, OsdMap } from '../task/ceph.ts';
import type { Task } from '../task/task.ts';
import type { Canvas, StepCanvas } from './canvas.ts';
import { buildGraph, type Graph, type Vertex } from './graph.ts';
import { hashJson } from './hash.ts';
import { checkPayload } from './payload.ts';
import type { Fingerprint, Plan, PlanGroup, PlanLock, PlanStep } from './plan.ts';
import { passOn } from './previous.ts';
import { titleOf } from './titles.ts';

/** What a plan is assembled from. `atEnd`: chains of the part finally, beside one another. */
export interface PlanParts {
  readonly name: string;
  readonly summary: string;
  readonly params: JsonObject;
  readonly target: string;
  readonly locks: readonly PlanLock[];
  readonly payload?: Json;
  readonly main: Canvas;
  readonly atEnd: readonly Canvas[];
}

/** What a plan is assembled against. */
export interface PlanGround {
  readonly tasks: ReadonlyMap<string, { readonly task: Task; readonly hash: string }>;
  readonly map: OsdMap;
  readonly health: Health;
  readonly cluster: string;
}

/**
 * Turn canvases into an immutable plan: main steps, then finally, then the releases of holds.
 * @throws PLAYBOOK_INVALID for unknown tasks, ids in `after` that do not exist, circles, and outputs of predecessors that
 * are not there; PARAM_INVALID for a payload that is too long
 */
export function assemblePlan(parts: PlanParts, ground: PlanGround): Plan {
  const main = graphOf(parts.name, parts.main);
  const atEnd = graphOf(parts.name, { canvas: 'group', members: parts.atEnd });
  const first = main.vertices.length;
  const built = [
    ...main.vertices.map((vertex) => planStep(vertex, { part: 'main', shift: 0, groups: 0 }, ground)),
    ...atEnd.vertices.map((vertex) =>
      planStep(vertex, { part: 'finally', shift: first, groups: main.groups.length }, ground),
    ),
  ];
  checkPayload('the run', parts.payload);
  for (const step of built) checkPayload(`step ${step.id}`, step.payload);
  const fed = [
    { shift: 0, feeds: main.feeds },
    { shift: first, feeds: atEnd.feeds },
  ];
  const steps = passOn(parts.name, uniqueIds(built), fed, ground.tasks);
  const ends = atEnd.ends.map((index) => index + first);
  const all = uniqueIds([...steps, ...releasesOf(steps, ends, ground)]);
  const plan = {
    version: 1 as const,
    playbook: parts.name,
    summary: parts.summary,
    cluster: ground.cluster,
    fsid: ground.map.fsid,
    target: parts.target,
    params: parts.params,
    locks: mergeLocks(parts.locks),
    ...(parts.payload === undefined ? {} : { payload: parts.payload }),
    tasks: hashesOf(all, ground),
    fingerprint: fingerprintOf(ground.map, [parts.params, ...all.map((step) => step.with)]),
    baseline: ground.health,
    groups: [...main.groups, ...atEnd.groups] as readonly PlanGroup[],
    steps: all,
  };
  return { ...plan, hash: hashJson(plan as unknown as Json) };
}

/** Name every lock once, in the order of names; of two capacities the smaller holds. */
function mergeLocks(locks: readonly PlanLock[]): readonly PlanLock[] {
  const smallest = new Map<string, number>();
  for (const { name, capacity } of locks) {
    smallest.set(name, Math.min(capacity, smallest.get(name) ?? capacity));
  }
  return [...smallest].toSorted().map(([name, capacity]) => ({ name, capacity }));
}

/**
 * Say what a plan about these values is decided on: identities and topology, never epochs or statistics.
 * `values`: whatever holds frozen OSDs, at any depth.
 */
function fingerprintOf(map: OsdMap, values: readonly Json[]): Fingerprint {
  const nodes = map.nodes.map(({ name, location, osdIds }) => ({
    name,
    location: location.map(({ type, name: bucket }) => ({ type, name: bucket })),
    osds: osdIds.toSorted((a, b) => a - b),
  }));
  return {
    fsid: map.fsid,
    targets: [...new Set(values.flatMap(targetsIn))].toSorted(),
    crush: hashJson(nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))),
    pools: map.pools.map(({ name, size, ruleId }) => `${name}:${size}:${ruleId}`).toSorted(),
  };
}

function targetsIn(value: Json): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(targetsIn);
  if (!isJsonObject(value)) return [];
  const { id, uuid, node } = value;
  if (typeof id === 'number' && typeof uuid === 'string') return [`osd.${id}=${uuid}@${node}`];
  return Object.values(value).flatMap(targetsIn);
}

function graphOf(name: string, canvas: Canvas): Graph {
  const built = buildGraph(canvas);
  if ('graph' in built) return built.graph;
  const why =
    'cycle' in built
      ? `these steps wait for one another: ${built.cycle.join(' → ')}`
      : built.unknown.map(({ id, by }) => `${by} comes after "${id}", which does not exist`).join('\n');
  throw new CephflowError('PLAYBOOK_INVALID', `${name} has no order: ${why}`);
}

interface Part {
  readonly part: PlanStep['part'];
  /** Number of steps before this part. */
  readonly shift: number;
  /** Number of groups before this part. */
  readonly groups: number;
}

function planStep(vertex: Vertex, { part, shift, groups }: Part, ground: PlanGround): PlanStep {
  const after = vertex.after.map((index) => index + shift);
  const places = vertex.places.map(({ group, member }) => ({ group: group + groups, member }));
  const common = { id: vertex.id, after, part, places };
  const { step } = vertex;
  if (!step)
    return {
      ...common,
      kind: 'barrier',
      risk: 'reads',
      title: 'join what runs beside one another',
      with: {},
    };
  const task = taskOf(step, ground);
  return {
    ...common,
    kind: 'task',
    task: step.task,
    risk: task.risk,
    title: titleOf(task, step.with),
    with: step.with,
    ...(step.when === undefined ? {} : { when: step.when }),
    ...step.settings,
  };
}

function taskOf(step: StepCanvas, ground: PlanGround): Task {
  const found = ground.tasks.get(step.task);
  if (found) return found.task;
  throw new CephflowError('PLAYBOOK_INVALID', `there is no task ${step.task}`, {
    hint: 'see what there is with: cephflow tasks',
  });
}

/** Give back what is held, after everything else that happens at the end. */
function releasesOf(
  steps: readonly PlanStep[],
  ends: readonly number[],
  { tasks }: PlanGround,
): readonly PlanStep[] {
  const holds = steps.flatMap((step, index) => {
    const task = step.task === undefined ? undefined : tasks.get(step.task)?.task;
    return task?.hold ? [{ step, index }] : [];
  });
  const releases: PlanStep[] = [];
  let after = ends;
  if (holds.length > 1 && ends.length > 1) {
    const canvas = {
      id: 'barrier-releases',
      kind: 'barrier' as const,
      risk: 'reads' as const,
      with: {},
      after,
      places: [],
    };
    releases.push({ ...canvas, title: 'join what runs beside one another', part: 'finally' });
    after = [steps.length];
  }
  for (const { step, index } of holds.toReversed()) {
    releases.push({
      id: `${step.id}.release`,
      kind: 'release',
      ...(step.task === undefined ? {} : { task: step.task }),
      risk: step.risk,
      title: `Give back what ${step.id} holds`,
      with: step.with,
      after,
      part: 'finally',
      places: [],
      releases: index,
    });
  }
  return releases;
}

/** Parts are built apart, so a barrier or a release may have taken a name twice. */
function uniqueIds(steps: readonly PlanStep[]): readonly PlanStep[] {
  const taken = new Set<string>();
  return steps.map((step) => {
    let id = step.id;
    for (let number = 2; taken.has(id) && number <= steps.length + 1; number += 1)
      id = `${step.id}-${number}`;
    taken.add(id);
    return id === step.id ? step : { ...step, id };
  });
}

function hashesOf(steps: readonly PlanStep[], { tasks }: PlanGround): Readonly<Record<string, string>> {
  const names = [...new Set(steps.flatMap(({ task }) => task ?? []))].toSorted();
  return Object.fromEntries(names.map((name) => [name, tasks.get(name)?.hash ?? '']));
}
