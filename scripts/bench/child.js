// What all children of the bench share.
import process from 'node:process';

/** Jobs added by one command, the same for both sides. */
export const addAtOnce = 500;

/** Steps or jobs at a time, the same for both sides. */
export const concurrency = 50;

/** Tell the parent a word, with the highest memory so far (resident, MB) and the time (comparable between processes). */
export function tell(kind, more = {}) {
  process.send({ kind, mb: process.resourceUsage().maxRSS / 1024, ...more });
}

/** Wait until the parent says go. */
export function told() {
  return new Promise((resolve) => process.once('message', resolve));
}
