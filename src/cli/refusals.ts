import type { ReadSystems } from '../engine/systems.ts';
import { isLateValue, type Plan, type PlanStep } from '../plan/plan.ts';
import type { ReadContext } from '../task/context.ts';
import type { Task } from '../task/task.ts';

interface Asked {
  readonly plan: Plan;
  readonly tasks: ReadonlyMap<string, Task>;
  /** Systems that can only read. */
  readonly systems: ReadSystems;
  readonly by: string;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/**
 * Ask every step of a plan, on the untouched cluster, why it must not be carried out at all.
 * Steps whose values come from other steps cannot be asked yet. The same reason is told once.
 * @returns all reasons; [] means that the run may start
 */
export async function findRefusals(asked: Asked): Promise<readonly string[]> {
  const reasons = new Set<string>();
  for (const step of asked.plan.steps) {
    for (const reason of await askStep(step, asked)) reasons.add(reason);
  }
  return [...reasons];
}

async function askStep(step: PlanStep, asked: Asked): Promise<readonly string[]> {
  const task = step.kind === 'task' && step.task !== undefined ? asked.tasks.get(step.task) : undefined;
  if (!task?.refusals || Object.values(step.with).some(isLateValue)) return [];
  return task.refusals(step.with as never, contextOf(step, asked));
}

function contextOf(step: PlanStep, { plan, systems, by, nowMs, signal }: Asked): ReadContext {
  const { cluster, baseline } = plan;
  return {
    ...systems,
    machine: (node) => systems.machine(node),
    step: { run: 'plan', id: step.id, key: `plan/${step.id}`, cluster, by, baseline },
    decision: undefined,
    nowMs,
    signal,
  };
}
