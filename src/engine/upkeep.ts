import { formatDuration } from '../base/duration.ts';
import type { Duty } from './leader.ts';
import type { Store } from './store.ts';

/** Ended runs are looked through so often: they are kept for days, a minute more does not matter. */
const collectEveryMs = 60_000;

/** Make the leader's duty of throwing away what ended long ago. `now`: milliseconds of a steady clock. */
export function collectDuty(store: Pick<Store, 'collect'>, now: () => number): Duty {
  let nextMs = 0;
  return async (signal, epoch) => {
    if (now() < nextMs) return;
    // as long as there is something: a call takes a few
    while (!signal.aborted && (await store.collect(epoch)) > 0);
    nextMs = now() + collectEveryMs;
  };
}

/** Do what the plan says about a run whose time is over; once, however often it is found. */
export async function endOverdue(
  store: Pick<Store, 'planHead' | 'pause' | 'abort'>,
  run: string,
): Promise<void> {
  const { deadline } = await store.planHead(run);
  if (!deadline) return;
  const reason = `not ended within ${formatDuration(deadline.afterMs)}`;
  const actor = { by: 'deadline', reason, request: 'deadline' };
  if (deadline.outcome === 'abort') await store.abort(run, actor);
  else await store.pause(run, actor);
}
