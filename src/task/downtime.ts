import type { StepFacts } from './context.ts';
import type { NodeTarget } from './targets.ts';

/** Name the downtime that a run holds on a node: the same for the step that opens it and the one that ends it early. */
export function downtimeKey(step: Pick<StepFacts, 'run'>, node: Pick<NodeTarget, 'name'>): string {
  return `${step.run}/${node.name}`;
}
