import { formatDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { LockView, RunSnapshot, Store } from '../engine/store.ts';
import { shortRun } from './lines.ts';

/** Name who holds or waits for a lock. */
interface NamedWaiter {
  readonly run: string;
  /** Id of the step, where the run itself is not meant. */
  readonly step?: string;
  /** The step's number. */
  readonly number?: number;
  /** `7q2m`, or `7q2m/drain`. */
  readonly title: string;
  /** Who started the run: user and machine. */
  readonly by: string;
}

/** Name who holds a lock, and since when. */
export interface NamedHolder extends NamedWaiter {
  readonly sinceMs: number;
}

/** Show a lock as people know it. */
export interface NamedLock {
  readonly name: string;
  readonly holders: readonly NamedHolder[];
  readonly waiters: readonly NamedWaiter[];
}

/** List the locks that are held or waited for, with the names of steps and of who started the runs. */
export async function listLocks(
  store: Pick<Store, 'locks' | 'brief' | 'step'>,
): Promise<readonly NamedLock[]> {
  const name = nameOnce(store);
  const locks: NamedLock[] = [];
  for (const { name: lock, holders, waiters } of await store.locks()) {
    const held: NamedHolder[] = [];
    for (const holder of holders) held.push({ ...(await name(holder)), sinceMs: holder.sinceMs });
    const waiting: NamedWaiter[] = [];
    for (const waiter of waiters) waiting.push(await name(waiter));
    locks.push({ name: lock, holders: held, waiters: waiting });
  }
  return locks;
}

function nameOnce(store: Pick<Store, 'brief' | 'step'>) {
  const owners = new Map<string, string>();
  return async ({ run, step: number }: LockView['waiters'][number]): Promise<NamedWaiter> => {
    const by = owners.get(run) ?? (await ownerOf(store, run));
    owners.set(run, by);
    if (number === undefined) return { run, title: shortRun(run), by };
    const step =
      by === unknownOwner ? String(number) : ((await store.step(run, number))?.id ?? String(number));
    return { run, step, number, title: `${shortRun(run)}/${step}`, by };
  };
}

const unknownOwner = 'a run that is no longer known';

async function ownerOf(store: Pick<Store, 'brief'>, run: string): Promise<string> {
  try {
    return (await store.brief(run)).by;
  } catch (thrown) {
    // a run that was thrown away may be written as a holder all the same: that is what lock rm is for
    if (thrown instanceof CephflowError && thrown.code === 'RUN_UNKNOWN') return unknownOwner;
    throw thrown;
  }
}

/** Say which locks a run waits for before it begins: `node/x, which run 7q2m has held for 3m`. */
export function describeLockWaits(
  { run, nowMs }: Pick<RunSnapshot, 'run' | 'nowMs'>,
  locks: readonly LockView[],
): readonly string[] {
  return locks
    .filter(({ waiters }) => waiters.some((waiter) => waiter.run === run && waiter.step === undefined))
    .flatMap(({ name, holders }) =>
      holders.map(
        ({ run: other, sinceMs }) =>
          `${name}, which run ${shortRun(other)} has held for ${formatDuration(nowMs - sinceMs)}`,
      ),
    );
}
