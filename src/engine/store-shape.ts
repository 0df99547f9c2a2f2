import type { Plan } from '../plan/plan.ts';
import { stepStates } from '../run/states.ts';

/** Successors counted down by one script: some milliseconds of Redis' time. */
const sliceSize = 1000;

/** Hold what the scripts need of a plan's graph: who comes after whom, within main and within finally. */
export interface Shape {
  readonly successors: readonly (readonly number[])[];
  readonly part: Buffer;
  /** First states: roots of main are ready. */
  readonly states: Buffer;
  /** Counters of what each step waits for; finally steps wait for one more, the end of main. */
  readonly dependencies: Buffer;
  readonly roots: readonly number[];
  readonly finallySteps: readonly number[];
  /** `group:member:max:size;…` of the steps that need places. */
  readonly places: Readonly<Record<string, string>>;
}

/** Derive the shape of a plan's graph. Edges between main and finally are the gate's and not counted. */
export function shapeOf(plan: Plan): Shape {
  const successors: number[][] = plan.steps.map(() => []);
  const dependencies = Buffer.alloc(plan.steps.length * 4);
  const states = Buffer.alloc(plan.steps.length, stepStates.pending);
  const roots: number[] = [];
  const finallySteps: number[] = [];
  const places: Record<string, string> = {};
  for (const [index, step] of plan.steps.entries()) {
    const before = new Set(step.after.filter((other) => plan.steps[other]?.part === step.part));
    for (const other of before) successors[other]?.push(index);
    const isFinally = step.part === 'finally';
    dependencies.writeUInt32BE(before.size + (isFinally ? 1 : 0), index * 4);
    if (isFinally) finallySteps.push(index);
    else if (before.size === 0) {
      roots.push(index);
      states.write(stepStates.ready, index);
    }
    if (step.places.length > 0) places[index] = placesText(plan, step.places);
  }
  const part = Buffer.from(plan.steps.map((step) => (step.part === 'finally' ? 'f' : 'm')).join(''));
  return { successors, part, states, dependencies, roots, finallySteps, places };
}

/** Give one slice of a step's successors, and the cursor of the next slice ('' at the end). */
export function sliceOf(shape: Shape, step: number, from: number): { list: string; next: string } {
  const all = shape.successors[step] ?? [];
  const end = from + sliceSize;
  return { list: all.slice(from, end).join(','), next: end < all.length ? String(end) : '' };
}

function placesText(plan: Plan, places: Plan['steps'][number]['places']): string {
  return places
    .map(({ group, member }) => {
      const { maxParallel = 1, memberSizes = [] } = plan.groups[group] ?? {};
      return `${group}:${member}:${maxParallel}:${memberSizes[member] ?? 1}`;
    })
    .join(';');
}
