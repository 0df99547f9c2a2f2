import { CephflowError } from '../base/errors.ts';
import { risks, type Task } from '../task/task.ts';
import type { Canvas, ExpandCanvas, StepCanvas } from './canvas.ts';
import { usesOfLists } from './expressions.ts';
import { neededLists } from './fill.ts';
import { type Built, buildGraphOf, type Graph, type Placed, unplaced } from './graph.ts';
import type { TakenIds } from './ids.ts';
import type { PlanStep, StepExpansion } from './plan.ts';
import { titleOf } from './titles.ts';

/** Find tasks by their names. */
export type TaskBook = ReadonlyMap<string, { readonly task: Task; readonly hash: string }>;

/** Give the tasks of a book without what pins them. */
export function tasksOf(book: TaskBook): ReadonlyMap<string, Task> {
  return new Map([...book].map(([name, { task }]) => [name, task]));
}

/** Say where the steps of a graph come to stand in a plan. */
export interface PartOfPlan {
  readonly name: string;
  readonly part: PlanStep['part'];
  /** Number of groups before this part. */
  readonly groups: number;
  /** Ids that the plan has already; those of this part are added. */
  readonly taken: TakenIds;
}

/**
 * Turn a canvas into steps and append them to `steps`.
 * @returns the graph, whose indices count from the first step of this part
 * @throws PLAYBOOK_INVALID for unknown tasks, ids in `after` that do not exist, and circles
 */
export function appendSteps(
  steps: PlanStep[],
  canvas: Canvas,
  part: PartOfPlan,
  tasks: TaskBook,
): Graph<PlanStep> {
  const make = (id: string, step: StepCanvas | ExpandCanvas | undefined) => planStep(id, step, part, tasks);
  const graph = graphOf(part, buildGraphOf<PlanStep>(canvas, make, part.taken));
  movePlaces(graph.vertices, steps.length, part.groups);
  for (const step of graph.vertices) steps.push(step);
  return graph;
}

/** What all that joins others looks like. */
export const joining = {
  kind: 'barrier',
  risk: 'reads',
  title: 'join what runs beside one another',
  with: {},
} as const;

function graphOf({ name }: PartOfPlan, built: Built<PlanStep>): Graph<PlanStep> {
  if ('graph' in built) return built.graph;
  const why =
    'cycle' in built
      ? `these steps wait for one another: ${built.cycle.join(' → ')}`
      : built.unknown.map(({ id, by }) => `${by} comes after "${id}", which does not exist`).join('\n');
  throw new CephflowError('PLAYBOOK_INVALID', `${name} has no order: ${why}`);
}

/** Move edges and places behind what the plan has already. Lists that steps share are moved once and stay shared. */
function movePlaces(steps: readonly Placed[], shift: number, groups: number): void {
  const edges = new Map<readonly number[], readonly number[]>();
  const spots = new Map<PlanStep['places'], PlanStep['places']>();
  if (shift === 0 && groups === 0) return;
  for (const step of steps) {
    const { after, places } = step;
    step.after = edges.get(after) ?? after.map((index) => index + shift);
    edges.set(after, step.after);
    step.places = spots.get(places) ?? places.map(({ group, member }) => ({ group: group + groups, member }));
    spots.set(places, step.places);
  }
}

function planStep(
  id: string,
  step: StepCanvas | ExpandCanvas | undefined,
  { name, part, taken }: PartOfPlan,
  tasks: TaskBook,
): PlanStep {
  if (!step) return { id, part, ...joining, ...unplaced };
  if (step.canvas === 'expand') return expandStep(id, step, { name, taken, part, groups: 0 }, tasks);
  const task = taskOf(step, tasks);
  const made: PlanStep & { when?: string } = {
    id,
    kind: 'task',
    task: step.task,
    risk: task.risk,
    title: titleOf(task, step.with),
    with: step.with,
    after: unplaced.after,
    part,
    places: unplaced.places,
  };
  if (step.when !== undefined) made.when = step.when;
  return Object.assign(made, step.settings);
}

function taskOf(step: StepCanvas, tasks: TaskBook): Task {
  const found = tasks.get(step.task);
  if (found) return found.task;
  throw new CephflowError('PLAYBOOK_INVALID', `there is no task ${step.task}`, {
    hint: 'see what there is with: cephflow tasks',
  });
}

/** Make the step that will append a member for each value; its risk is the worst of what it appends. */
function expandStep(id: string, canvas: ExpandCanvas, part: PartOfPlan, tasks: TaskBook): PlanStep {
  const member: PlanStep[] = [];
  const { groups, feeds } = appendSteps(member, canvas.member, part, tasks);
  refuseLists(id, canvas, member, [...feeds.keys()]);
  const expansion: StepExpansion = {
    over: { $expression: canvas.over },
    variable: canvas.variable,
    atMost: canvas.atMost,
    ...(canvas.maxParallel === undefined ? {} : { maxParallel: canvas.maxParallel }),
    // two expansions of one plan may both have a first barrier
    steps: member.map((step) => (step.kind === 'barrier' ? { ...step, id: `${id}.${step.id}` } : step)),
    ...(groups.length === 0 ? {} : { groups }),
  };
  const worst = Math.max(0, ...member.map(({ risk }) => risks.indexOf(risk)));
  const names = [...new Set(member.flatMap(({ task }) => task ?? []))];
  const title = `For each ${canvas.variable}, known later, at most ${canvas.atMost}: ${names.join(', ')}`;
  return {
    id,
    kind: 'expand',
    risk: risks[worst] ?? 'reads',
    title,
    with: {},
    part: part.part,
    ...unplaced,
    ...canvas.settings,
    expansion,
  };
}

/**
 * Refuse what only a plan can number: members of an expansion are appended to the run, and each stands elsewhere.
 * @throws PLAYBOOK_INVALID
 */
function refuseLists(
  id: string,
  canvas: ExpandCanvas,
  member: readonly PlanStep[],
  takers: readonly number[],
): void {
  const takes = takers.flatMap((index) => member[index] ?? []).at(0);
  const lists = member.find((step) => neededLists(step).length > 0);
  const user = takes ?? lists ?? (usesOfLists(canvas.over).length > 0 ? { id } : undefined);
  if (!user) return;
  const what = takes ? 'previous()' : 'a list of outputs';
  const where = user.id === id ? 'as its list' : `in the expansion ${id}`;
  throw new CephflowError('PLAYBOOK_INVALID', `${user.id} takes ${what} ${where}, which is not possible`, {
    hint: 'name the output of one step instead: { $expression: \'steps["find"].output.device\' }',
  });
}
