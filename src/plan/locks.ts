import type { PlanLock } from './plan.ts';

/** Name every lock once, in the order of names; of two capacities the smaller holds. */
export function mergeLocks(locks: readonly PlanLock[]): readonly PlanLock[] {
  const smallest = new Map<string, number>();
  for (const { name, capacity } of locks) {
    smallest.set(name, Math.min(capacity, smallest.get(name) ?? capacity));
  }
  return [...smallest]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, capacity]) => ({ name, capacity }));
}
