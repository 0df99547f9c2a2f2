import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from './dispatcher.ts';
import type { Store } from './store.ts';

/** Long enough for a pause of a busy machine; shorter than what people notice. */
const usualLeadMs = 5000;
/** Longest pause between two rounds: new timers, outboxes that a dead process left. */
const longestPauseMs = 1000;
/** Shortest pause, so that a clock that is a little off makes no busy loop. */
const shortestPauseMs = 20;

/** Take part in the election of the leader, and lead when elected. */
export interface Leader {
  /** End, and let another lead at once. */
  stop(): Promise<void>;
}

/** Say what a leader needs. `id`: unique to this process, such as host and pid. */
export interface LeaderOptions {
  readonly id: string;
  readonly store: Pick<Store, 'lead' | 'resign' | 'tick'>;
  readonly dispatcher: Pick<Dispatcher, 'poke' | 'send' | 'isQueued'>;
  /** A leader that says nothing for so long is replaced. Default 5 s. */
  readonly leadMs?: number;
  onError(error: unknown): void;
}

/** Begin: timers of waits, leases that ran out, deliveries that were lost, outboxes, renewals of holds. */
export function startLeader(options: LeaderOptions): Leader {
  const stopping = new AbortController();
  const done = leadUntil(options, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}

async function leadUntil(options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const { id, store, onError } = options;
  while (!signal.aborted) {
    const pauseMs = await leadOnce(options).catch((thrown: unknown) => {
      onError(thrown);
      return longestPauseMs;
    });
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  await store.resign(id).catch(onError);
}

async function leadOnce({
  id,
  store,
  dispatcher,
  leadMs = usualLeadMs,
  onError,
}: LeaderOptions): Promise<number> {
  const epoch = await store.lead(id, leadMs);
  if (epoch === undefined) return longestPauseMs;
  const ticked = await store.tick({ epoch, isQueued: (delivery) => dispatcher.isQueued(delivery) });
  for (const fault of ticked.faults) onError(fault);
  for (const run of ticked.runs) dispatcher.poke(run);
  // one that cannot be sent is no reason to let the holds of other runs run out
  for (const renewal of ticked.renewals) await dispatcher.send([renewal]).catch(onError);
  const untilNext = (ticked.nextDueMs ?? Number.POSITIVE_INFINITY) - ticked.nowMs;
  return Math.min(longestPauseMs, Math.max(shortestPauseMs, untilNext));
}
