import { CephflowError } from '../base/errors.ts';
import { undoSteps } from '../plan/undo.ts';
import type { Completed, Growth } from './leases.ts';
import { understandThrown } from './thrown.ts';
import { undoRequest } from './undo-request.ts';
import { type Claimed, clockFrom, recordError } from './workshop.ts';

/** Another expansion of the same run may come between: then the numbers are worked out anew, so often. */
const growTries = 10;
/** What is under way when a run is to be taken back is looked at again so often. */
const underWayPollMs = 2000;

/** Append the steps that an expand step stands for, and end it. */
export async function growRun(claimed: Claimed): Promise<Completed | undefined> {
  const { grant, shop, step } = claimed;
  const { run } = grant;
  try {
    if (!step.expansion && (await waitsForOthers(claimed))) return undefined;
    for (let left = growTries; left > 0; left -= 1) {
      const { size } = await shop.store.extent(run);
      const growth: Growth = { ...(await workOut(claimed, size)), first: size };
      const written = await shop.store.expand(grant, growth);
      if (written === 'moved') continue;
      if (written === 'accepted') shop.dispatch(run);
      return undefined;
    }
    throw new CephflowError('INTERNAL', `run ${run} grows faster than ${step.id} can append to it`);
  } catch (thrown) {
    const error = understandThrown(thrown);
    if (error.code === 'REDIS_UNREACHABLE') throw error;
    return shop.store.complete(grant, { state: 'failed', acted: false, error: recordError(error) });
  }
}

/** What is taken back must have come to its end first. */
async function waitsForOthers({ grant, shop }: Claimed): Promise<boolean> {
  const busy = await shop.store.underWay(grant.run, grant.step);
  const [first] = busy;
  if (first === undefined) return false;
  const name = (await shop.store.step(grant.run, first))?.id ?? String(first);
  const others = busy.length > 1 ? ` and ${busy.length - 1} more` : '';
  await shop.store.park(grant, {
    untilMs: clockFrom(grant.nowMs)() + underWayPollMs,
    waiting: { reason: `waits until ${name}${others} has come to its end` },
  });
  return true;
}

async function workOut({ grant, shop }: Claimed, first: number): Promise<Omit<Growth, 'first'>> {
  const request = await undoRequest(shop.store, grant.run, tasksOf(shop.tasks));
  return undoSteps(request, { first, by: grant.step });
}

const tasksOf = (library: Claimed['shop']['tasks']) =>
  new Map([...library].map(([name, { task }]) => [name, task]));
