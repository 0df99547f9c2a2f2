import type { Plan, PlanStep } from '../../src/plan/plan.ts';

/** What a test says about a step; the rest is of no interest to the engine. */
export type StepSketch = Partial<PlanStep> & { readonly id: string };

/** Make a plan of a graph. Without `after`, nothing is waited for. */
export function planOf(steps: readonly StepSketch[], more: Partial<Plan> = {}): Plan {
  return {
    version: 1,
    hash: `h${Math.random().toString(36).slice(2)}`,
    playbook: 'test',
    summary: 'A graph of a test',
    cluster: 'lab',
    fsid: 'f51d',
    target: 'nothing',
    params: {},
    locks: [],
    tasks: {},
    fingerprint: { fsid: 'f51d', targets: [], crush: '', pools: [] },
    baseline: { status: 'HEALTH_OK', checks: [] },
    groups: [],
    steps: steps.map(stepOf),
    ...more,
  } as unknown as Plan;
}

function stepOf(sketch: StepSketch): PlanStep {
  return {
    kind: 'task',
    task: 'test.task',
    risk: 'changes',
    title: sketch.id,
    with: {},
    after: [],
    part: 'main',
    places: [],
    ...sketch,
  };
}

/** Make a chain of n steps. */
export function chainOf(n: number): Plan {
  return planOf(Array.from({ length: n }, (_, i) => ({ id: `s${i}`, after: i === 0 ? [] : [i - 1] })));
}
