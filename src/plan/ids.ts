/**
 * Remember the ids that are taken in a plan, with the number that was last put behind each: `x` with 3 also takes
 * `x-2` and `x-3`, so that a hundred thousand steps without ids of their own need one entry.
 */
export type TakenIds = Map<string, number>;

/** Take an id: the wanted one, or with the next free number behind it. */
export function freeId(taken: TakenIds, wanted: string): string {
  let count = isTaken(taken, wanted) ? Math.max(2, (taken.get(wanted) ?? 1) + 1) : 1;
  // Ends: of one more candidate than there are ids, one is free.
  while (count > 1 && isTaken(taken, `${wanted}-${count}`)) count += 1;
  taken.set(wanted, count);
  // joined, not concatenated: a rope of two strings would live as long as the plan
  return count === 1 ? wanted : [wanted, count].join('-');
}

function isTaken(taken: ReadonlyMap<string, number>, id: string): boolean {
  if (taken.has(id)) return true;
  const dash = id.lastIndexOf('-');
  if (dash <= 0) return false;
  const digits = id.slice(dash + 1);
  const number = Number(digits);
  return String(number) === digits && number >= 2 && number <= (taken.get(id.slice(0, dash)) ?? 0);
}
