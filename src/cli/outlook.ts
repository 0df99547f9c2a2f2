import type { ReadSystems } from '../engine/systems.ts';
import { holdsLate } from '../plan/expand.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { ReadContext } from '../task/context.ts';
import type { Outlook, Task } from '../task/task.ts';

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
 * Ask every step of a plan, on the untouched cluster, why it must not be carried out at all, and what it will bring.
 * Steps whose values come from other steps cannot be asked yet. The same sentence is told once.
 * @returns all refusals and effects; no refusals means that the run may start
 */
export async function findOutlook(asked: Asked): Promise<Outlook> {
  const refusals = new Set<string>();
  const effects = new Set<string>();
  for (const step of asked.plan.steps) {
    const outlook = await askStep(step, asked);
    for (const refusal of outlook?.refusals ?? []) refusals.add(refusal);
    for (const effect of outlook?.effects ?? []) effects.add(`${step.id}: ${effect}`);
  }
  return { refusals: [...refusals], effects: [...effects] };
}

async function askStep(step: PlanStep, asked: Asked): Promise<Outlook | undefined> {
  const task = step.kind === 'task' && step.task !== undefined ? asked.tasks.get(step.task) : undefined;
  if (!task?.outlook || holdsLate(step.with)) return undefined;
  return task.outlook(step.with as never, contextOf(step, asked));
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
