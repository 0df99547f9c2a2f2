import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import type { Health, OsdMap } from '../task/ceph.ts';
import type { Canvas } from './canvas.ts';
import { hashJson, hashSteps } from './hash.ts';
import { freeId, type TakenIds } from './ids.ts';
import { mergeLocks } from './locks.ts';
import { checkPayload } from './payload.ts';
import type { Fingerprint, Plan, PlanLock, PlanStep } from './plan.ts';
import { appendSteps, joining, type TaskBook } from './plan-steps.ts';
import { passOn } from './previous.ts';

/** What a plan is assembled from. `atEnd`: chains of the part finally, beside one another. */
export interface PlanParts extends Pick<Plan, 'deadline' | 'payload'> {
  readonly name: string;
  readonly summary: string;
  readonly params: JsonObject;
  readonly target: string;
  readonly locks: readonly PlanLock[];
  readonly main: Canvas;
  readonly atEnd: readonly Canvas[];
}

/** What a plan is assembled against. */
export interface PlanGround {
  readonly tasks: TaskBook;
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
  const { name } = parts;
  const taken: TakenIds = new Map();
  const steps: PlanStep[] = [];
  const main = appendSteps(steps, parts.main, { name, part: 'main', groups: 0, taken }, ground.tasks);
  const first = steps.length;
  const last: Canvas = { canvas: 'group', members: parts.atEnd };
  const groups = main.groups.length;
  const atEnd = appendSteps(steps, last, { name, part: 'finally', groups, taken }, ground.tasks);
  checkPayloads(parts, steps);
  // before releases, which take the values of their holds
  const fed = [
    { shift: 0, feeds: main.feeds },
    { shift: first, feeds: atEnd.feeds },
  ];
  passOn(name, steps, fed, ground.tasks);
  const ends = atEnd.ends.map((index) => index + first);
  appendReleases(steps, ends, taken, ground.tasks);
  const planned = {
    version: 1 as const,
    playbook: name,
    summary: parts.summary,
    cluster: ground.cluster,
    fsid: ground.map.fsid,
    target: parts.target,
    params: parts.params,
    locks: mergeLocks(parts.locks),
    ...(parts.deadline ? { deadline: parts.deadline } : {}),
    ...(parts.payload === undefined ? {} : { payload: parts.payload }),
    tasks: hashesOf(steps, ground),
    fingerprint: fingerprintOf(ground.map, parts.params, steps),
    baseline: ground.health,
    groups: [...main.groups, ...atEnd.groups],
  };
  return { ...planned, steps, hash: hashSteps(planned, steps) };
}

function checkPayloads({ payload }: PlanParts, steps: readonly PlanStep[]): void {
  checkPayload('the run', payload);
  for (const step of steps) {
    checkPayload(`step ${step.id}`, step.payload);
    for (const inner of step.expansion?.steps ?? []) checkPayload(`step ${inner.id}`, inner.payload);
  }
}

/** Say what a plan is decided on: identities and topology, never epochs or statistics. */
function fingerprintOf(map: OsdMap, params: JsonObject, steps: readonly PlanStep[]): Fingerprint {
  const nodes = map.nodes.map(({ name, location, osdIds }) => ({
    name,
    location: location.map(({ type, name: bucket }) => ({ type, name: bucket })),
    osds: osdIds.toSorted((a, b) => a - b),
  }));
  const targets: Targets = { names: [], limit: fewTargets };
  collectTargets(params, targets);
  collectStepTargets(steps, targets);
  return {
    fsid: map.fsid,
    targets: sortedOnce(targets.names),
    crush: hashJson(nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))),
    pools: map.pools.map(({ name, size, ruleId }) => `${name}:${size}:${ruleId}`).toSorted(),
  };
}

/** Collect names, many of them often; `limit`: of how many names those that stand twice are dropped. */
interface Targets {
  names: string[];
  limit: number;
}

/** So many names are collected before it is worth while to drop those that stand twice. */
const fewTargets = 10_000;

function collectStepTargets(steps: readonly PlanStep[], targets: Targets): void {
  for (const step of steps) {
    collectTargets(step.with, targets);
    if (step.expansion) collectStepTargets(step.expansion.steps, targets);
  }
}

/** Collect the frozen OSDs in a value, at any depth. */
function collectTargets(value: Json, targets: Targets): void {
  if (Array.isArray(value)) for (const item of value as readonly Json[]) collectTargets(item, targets);
  if (!isJsonObject(value)) return;
  const { id, uuid, node } = value;
  if (typeof id === 'number' && typeof uuid === 'string') addTarget(targets, id, uuid, String(node));
  else for (const key in value) collectTargets(value[key] ?? null, targets);
}

function addTarget(targets: Targets, id: number, uuid: string, node: string): void {
  // joined, not concatenated: a rope of strings would live as long as the plan
  targets.names.push(['osd.', id, '=', uuid, '@', node].join(''));
  if (targets.names.length < targets.limit) return;
  targets.names = sortedOnce(targets.names);
  targets.limit = Math.max(fewTargets, 2 * targets.names.length);
}

function sortedOnce(names: string[]): string[] {
  names.sort();
  let count = 0;
  for (const name of names) {
    if (count > 0 && names[count - 1] === name) continue;
    names[count] = name;
    count += 1;
  }
  names.length = count;
  return names;
}

/** Give back what is held, the last taken first, after everything else that happens at the end. */
function appendReleases(steps: PlanStep[], ends: readonly number[], taken: TakenIds, tasks: TaskBook): void {
  const isHold = ({ task }: PlanStep) => task !== undefined && tasks.get(task)?.task.hold !== undefined;
  const holds = steps.flatMap((step, index) => (isHold(step) ? [{ step, index }] : []));
  const part = 'finally';
  let after = ends;
  if (holds.length > 1 && ends.length > 1) {
    const id = freeId(taken, 'barrier-releases');
    const barrier = steps.push({ id, after, part, places: [], ...joining }) - 1;
    after = [barrier];
  }
  for (const { step, index } of holds.toReversed()) {
    steps.push({
      id: freeId(taken, `${step.id}.release`),
      kind: 'release',
      ...(step.task === undefined ? {} : { task: step.task }),
      risk: step.risk,
      title: `Give back what ${step.id} holds`,
      with: step.with,
      after,
      part,
      places: [],
      ...(step.queue === undefined ? {} : { queue: step.queue }),
      releases: index,
    });
  }
}

function hashesOf(steps: readonly PlanStep[], { tasks }: PlanGround): Readonly<Record<string, string>> {
  const names = new Set<string>();
  for (const { task, expansion } of steps) {
    if (task !== undefined) names.add(task);
    for (const inner of expansion?.steps ?? []) if (inner.task !== undefined) names.add(inner.task);
  }
  return Object.fromEntries([...names].sort().map((name) => [name, tasks.get(name)?.hash ?? '']));
}
