import type { Plan, PlanStep } from '../../../src/plan/plan.ts';

/** Tell whether a step changes the world when it is carried out. */
export const acts = ({ kind, risk }: PlanStep) => (kind === 'task' || kind === 'undo') && risk !== 'reads';

/** Tell whether a step stops or destroys something. */
export const isSevere = ({ risk }: PlanStep) => risk === 'destroys-data' || risk === 'stops-service';

/** What must be done before a step: those it names in its part; for a finally step, all of main. */
export function beforeOf(plan: Plan, index: number): readonly number[] {
  const { steps } = plan;
  const step = steps[index];
  if (!step) return [];
  const named = step.after.filter((other) => steps[other]?.part === step.part);
  const joined = named.flatMap((other) => joinAfter(plan, other, index));
  const own = [...named, ...joined];
  if (step.part === 'main') return own;
  return [...own, ...steps.flatMap(({ part }, other) => (part === 'main' ? [other] : []))];
}

/** What follows an expand step comes after the join of all that it appended; what it appended does not. */
function joinAfter({ steps }: Plan, index: number, follower: number): readonly number[] {
  const step = steps[index];
  if (step?.kind !== 'expand') return [];
  const joined = steps.findIndex(({ id }) => id === `${step.id}.joined`);
  return joined < 0 || isAmong(steps, joined, follower) ? [] : [joined];
}

/** Whether a step is the join or one of those that lead to it from the expand step. */
function isAmong(steps: Plan['steps'], joined: number, index: number): boolean {
  const seen = new Set<number>([joined]);
  // what is appended while this grows is looked at too
  for (const at of seen) for (const other of steps[at]?.after ?? []) seen.add(other);
  return seen.has(index);
}

/** Give the nearest acting steps that a step comes after, through barriers and waits. */
export function actingBefore(plan: Plan, index: number): ReadonlySet<number> {
  const found = new Set<number>();
  for (const other of allBefore(plan, index, (step) => !acts(step))) {
    const step = plan.steps[other];
    if (step && acts(step)) found.add(other);
  }
  return found;
}

/** Give all steps that a step comes after; what comes before one is looked at where `goesOn` says so. */
export function allBefore(
  plan: Plan,
  index: number,
  goesOn: (step: PlanStep) => boolean = () => true,
): ReadonlySet<number> {
  const seen = new Set<number>(beforeOf(plan, index));
  for (const at of seen) {
    const step = plan.steps[at];
    if (step && goesOn(step)) for (const other of beforeOf(plan, at)) seen.add(other);
  }
  return seen;
}

/** Be a group of members with places: in how many, and how many steps each member has. */
export interface GroupFacts {
  readonly id: string;
  readonly maxParallel: number;
  sizeOf(member: number): number;
}

/** Give the groups of a run by their numbers, those that were appended too. */
export function groupsOf({ groups, steps }: Plan): readonly (GroupFacts | undefined)[] {
  const planned = groups.map(({ id, maxParallel, memberSizes }) => ({
    id,
    maxParallel,
    sizeOf: (member: number) => memberSizes[member] ?? 0,
  }));
  const all: (GroupFacts | undefined)[] = [...planned];
  for (const { places, after } of steps) {
    for (const { group } of places) {
      const expand = after.map((index) => steps[index]).find((step) => step?.kind === 'expand');
      const maxParallel = expand?.expansion?.maxParallel;
      if (all[group] || !expand || maxParallel === undefined) continue;
      const sizeOf = (member: number) =>
        steps.filter((step) => step.places.some((one) => one.group === group && one.member === member))
          .length;
      all[group] = { id: expand.id, maxParallel, sizeOf };
    }
  }
  return all;
}
