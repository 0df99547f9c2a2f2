import { performance } from 'node:perf_hooks';
import { CephflowError } from '../base/errors.ts';
import type { Held, StoreSteps } from './store.ts';

/** Hold a step's lease. `signal` fires when it is lost, or when the worker stops. */
export interface Lease {
  readonly signal: AbortSignal;
  isLost(): boolean;
  end(): void;
}

/**
 * Renew a lease at every third of its life until `end`. Two renewals may fail before it is over.
 * Losing it aborts what is under way: another worker may hold the step by now.
 */
export function keepLease(
  store: Pick<StoreSteps, 'renewLease'>,
  held: Held,
  leaseMs: number,
  stopping: AbortSignal,
): Lease {
  const lost = new AbortController();
  let renewedAt = performance.now();

  async function renew(): Promise<void> {
    const sentAt = performance.now();
    // an unreachable Redis may leave a renewal hanging instead of failing it: the clock decides
    if (sentAt - renewedAt > leaseMs) return lose('Redis did not answer for as long as the lease lasts');
    const written = await store.renewLease(held, leaseMs).catch(() => 'unanswered' as const);
    if (written === 'lost') lose('another worker may hold it');
    if (written === 'accepted') renewedAt = Math.max(renewedAt, sentAt);
  }

  function lose(why: string): void {
    lost.abort(
      new CephflowError(
        'COMMAND_ABORTED',
        `the lease of step ${held.step} of run ${held.run} was lost: ${why}`,
      ),
    );
  }

  const timer = setInterval(() => void renew(), Math.max(1, Math.floor(leaseMs / 3)));
  return {
    signal: AbortSignal.any([lost.signal, stopping]),
    isLost: () => lost.signal.aborted,
    end: () => clearInterval(timer),
  };
}
