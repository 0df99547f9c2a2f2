import type { Task } from '../task/task.ts';
import { hashJson } from './hash.ts';
import type { Plan, PlanStep } from './plan.ts';
import { joining } from './plan-steps.ts';

/** Say what of a run is to be taken back. */
export interface UndoRequest {
  readonly steps: Plan['steps'];
  /** Steps after each step, where what was appended stands for the step that asked for it. */
  readonly followers: (step: number) => Iterable<number>;
  /** Whether the act of a step has begun and it was not taken back yet. */
  readonly hasActed: (step: number) => boolean;
  readonly tasks: ReadonlyMap<string, Pick<Task, 'undo' | 'run' | 'hold' | 'isNeutral'>>;
}

/** List the steps whose acts have no way back, ascending: as long as there is one, nothing must be undone. */
export function pointsOfNoReturn({ steps, hasActed, tasks }: UndoRequest): readonly number[] {
  return [...steps.keys()].filter(
    (index) => hasActed(index) && needOf(steps[index], tasks) === 'no-way-back',
  );
}

/** List the steps that are to be taken back, in the order of the plan. */
function undoable({ steps, hasActed, tasks }: UndoRequest): readonly number[] {
  return [...steps.keys()].filter((index) => hasActed(index) && needOf(steps[index], tasks) === 'undo');
}

/** What a step that has acted needs to be taken back. Holds are released when the run ends. */
function needOf(step: PlanStep | undefined, tasks: UndoRequest['tasks']): 'undo' | 'nothing' | 'no-way-back' {
  if (step?.kind !== 'task') return 'nothing';
  const task = tasks.get(step.task ?? '');
  if (task?.undo) return 'undo';
  const isHarmless = task !== undefined && (!task.run || task.hold !== undefined || task.isNeutral === true);
  return isHarmless ? 'nothing' : 'no-way-back';
}

/**
 * Make the steps that take a run back, in reverse order of its graph: a step is undone when all that came after it is.
 * @param first number of the first new step in the run; `by`: the step that appends them
 */
export function undoSteps(
  request: UndoRequest,
  { first, by }: { readonly first: number; readonly by: number },
): { readonly hash: string; readonly groups: Plan['groups']; readonly steps: readonly PlanStep[] } {
  const { steps } = request;
  const wanted = new Set(undoable(request));
  const made: PlanStep[] = [];
  /** For each step: the new steps that must have ended before anything before it is taken back. */
  const lastOf = new Map<number, readonly number[]>();
  for (const index of fromTheEnd(request)) {
    const below = [...new Set([...request.followers(index)].flatMap((next) => lastOf.get(next) ?? []))];
    const step = steps[index];
    const isJoin = step?.kind === 'barrier' && below.length > 1;
    if (!step || !(wanted.has(index) || isJoin)) {
      lastOf.set(index, below);
      continue;
    }
    lastOf.set(index, [first + made.length]);
    const after = below.length > 0 ? below.toSorted((a, b) => a - b) : [by];
    made.push(isJoin ? join(`${step.id}.undo`, after) : undoOf(step, index, after));
  }
  const ends = made.map((_, index) => first + index);
  made.push(join('undo.joined', ends.length > 0 ? ends : [by]));
  return { hash: hashJson({ undo: made as never, first }), groups: [], steps: made };
}

function undoOf(step: PlanStep, index: number, after: readonly number[]): PlanStep {
  return {
    id: `${step.id}.undo`,
    kind: 'undo',
    ...(step.task !== undefined && { task: step.task }),
    risk: step.risk,
    title: `Take back: ${step.title}`,
    with: step.with,
    after,
    part: 'main',
    places: [],
    undoes: index,
    ...(step.queue !== undefined && { queue: step.queue }),
    ...(step.limitMs !== undefined && { limitMs: step.limitMs }),
    ...(step.retry !== undefined && { retry: step.retry }),
  };
}

function join(id: string, after: readonly number[]): PlanStep {
  return { id, ...joining, after, part: 'main', places: [] };
}

/** Give all steps so that each comes after everything that follows it. */
function fromTheEnd({ steps, followers }: UndoRequest): readonly number[] {
  const left = steps.map(() => 0);
  const before: number[][] = steps.map(() => []);
  for (const index of steps.keys()) {
    for (const next of followers(index)) {
      left[index] = (left[index] ?? 0) + 1;
      before[next]?.push(index);
    }
  }
  const order = [...steps.keys()].filter((index) => left[index] === 0).reverse();
  for (let at = 0; at < order.length; at += 1) {
    for (const index of before[order[at] ?? 0] ?? []) {
      left[index] = (left[index] ?? 0) - 1;
      if (left[index] === 0) order.push(index);
    }
  }
  return order;
}
