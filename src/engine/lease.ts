import { performance } from 'node:perf_hooks';
import { CephflowError } from '../base/errors.ts';
import type { Held, StoreSteps } from './leases.ts';

/** Hold a step's lease. `signal` fires when it is lost, or when the worker stops. */
export interface Lease {
  readonly signal: AbortSignal;
  isLost(): boolean;
  end(): void;
}

/** Keep the leases of all steps that one worker carries out. */
export interface LeaseKeeper {
  keep(held: Held): Lease;
  /** Look after the leases of a run at once: it was killed. */
  check(run: string): void;
  close(): void;
}

/** Say how leases are kept. `stopping` ends all of them. */
export interface LeaseKeeperOptions {
  readonly store: Pick<StoreSteps, 'renewLease'>;
  readonly leaseMs: number;
  readonly stopping: AbortSignal;
}

/** Leases are looked at so often in a third of their life: one is renewed at latest that much later. */
const looksEachThird = 4;

/**
 * Renew leases at every third of their life until they end, all of a run in one call. Two renewals may fail before a lease
 * is over. Losing it aborts what is under way: another worker may hold the step by now.
 */
export function createLeaseKeeper({ store, leaseMs, stopping }: LeaseKeeperOptions): LeaseKeeper {
  const kept = new Set<KeptLease>();
  const thirdMs = Math.max(1, Math.floor(leaseMs / 3));

  async function renew(lease: KeptLease): Promise<void> {
    const sentAt = performance.now();
    lease.askedAt = sentAt;
    // an unreachable Redis may leave a renewal hanging instead of failing it: the clock decides
    if (sentAt - lease.renewedAt > leaseMs)
      return lease.lose('Redis did not answer for as long as the lease lasts');
    const written = await store.renewLease(lease.held, leaseMs).catch(() => 'unanswered' as const);
    if (written === 'lost' && kept.has(lease)) lease.lose('another worker may hold it');
    if (written === 'accepted') lease.renewedAt = Math.max(lease.renewedAt, sentAt);
  }

  const look = () => {
    const now = performance.now();
    for (const lease of kept) if (now - lease.askedAt >= thirdMs) void renew(lease);
  };
  const timer = setInterval(look, Math.max(1, Math.floor(thirdMs / looksEachThird)));
  const endAll = () => {
    for (const lease of kept) lease.stop(stopping.reason);
  };
  stopping.addEventListener('abort', endAll, { once: true });
  return {
    keep: (held) => {
      const lease = new KeptLease(held, () => kept.delete(lease));
      kept.add(lease);
      if (stopping.aborted) lease.stop(stopping.reason);
      return lease;
    },
    check: (run) => {
      for (const lease of kept) if (lease.held.run === run) void renew(lease);
    },
    close: () => {
      clearInterval(timer);
      stopping.removeEventListener('abort', endAll);
    },
  };
}

/** A lease that is being kept. */
class KeptLease implements Lease {
  readonly held: Held;
  renewedAt = performance.now();
  askedAt = this.renewedAt;
  #ending: AbortController | undefined;
  readonly #leave: () => void;
  #isLost = false;
  #reason: unknown;

  constructor(held: Held, leave: () => void) {
    this.held = held;
    this.#leave = leave;
  }

  get signal(): AbortSignal {
    // most steps end without anybody asking for it, and it costs as much as a step
    this.#ending ??= new AbortController();
    if (this.#reason !== undefined) this.#ending.abort(this.#reason);
    return this.#ending.signal;
  }

  isLost(): boolean {
    return this.#isLost;
  }

  lose(why: string): void {
    this.#isLost = true;
    const { run, step } = this.held;
    this.stop(
      new CephflowError('COMMAND_ABORTED', `the lease of step ${step} of run ${run} was lost: ${why}`),
    );
  }

  stop(reason: unknown): void {
    this.#reason = reason;
    this.#ending?.abort(reason);
  }

  end(): void {
    this.#leave();
  }
}
