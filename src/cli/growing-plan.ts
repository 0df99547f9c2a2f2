import type { Store } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent } from '../run/events.ts';

/** Keep the plan of a run that may grow while it is looked at. */
export interface GrowingPlan {
  /** The plan as it was read last. */
  now(): Plan;
  /** Read it anew where it has fewer steps than this. */
  reach(steps: number): Promise<Plan>;
}

/** Read the plan of a run, and keep it as long as it holds every step that is spoken of. */
export async function growingPlan(store: Pick<Store, 'plan'>, run: string): Promise<GrowingPlan> {
  let plan = await store.plan(run);
  return {
    now: () => plan,
    reach: async (steps) => {
      if (steps > plan.steps.length) plan = await store.plan(run);
      return plan;
    },
  };
}

/** Tell how many steps a run has at least, going by what events tell of. */
export function stepsIn(events: readonly RunEvent[]): number {
  return events.reduce((most, { step = -1 }) => Math.max(most, step + 1), 0);
}
