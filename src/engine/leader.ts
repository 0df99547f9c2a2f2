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

/**
 * Be something that only the leader does, once in each of its rounds and never twice at a time. It may take long: leading
 * goes on meanwhile. The signal fires when another leads, or this one stops; `epoch` fences what it writes.
 */
export type Duty = (signal: AbortSignal, epoch: number) => Promise<void>;

/** Say what a leader needs. `id`: unique to this process, such as host and pid. */
export interface LeaderOptions {
  readonly id: string;
  readonly store: Pick<Store, 'lead' | 'resign' | 'tick'>;
  readonly dispatcher: Pick<Dispatcher, 'poke' | 'send' | 'isQueued'>;
  readonly duties?: readonly Duty[];
  /** Told each run whose time is over, again and again until it has ended. */
  onOverdue?(run: string): Promise<void>;
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
  const duties = keepDuties(options);
  while (!signal.aborted) {
    const pauseMs = await leadOnce(options, duties).catch((thrown: unknown) => {
      onError(thrown);
      return longestPauseMs;
    });
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  await duties.rest();
  await store.resign(id).catch(onError);
}

interface Duties {
  /** Begin those that are not under way. */
  begin(epoch: number): void;
  /** Stop what is under way, and wait for its end. */
  rest(): Promise<void>;
}

function keepDuties({ duties = [], onError }: LeaderOptions): Duties {
  const underWay = new Map<Duty, Promise<void>>();
  let term = new AbortController();
  const take = async (duty: Duty, { signal }: AbortController, epoch: number) => {
    await duty(signal, epoch).catch((thrown: unknown) => {
      if (!signal.aborted) onError(thrown);
    });
    underWay.delete(duty);
  };
  return {
    begin: (epoch) => {
      if (term.signal.aborted) term = new AbortController();
      for (const duty of duties) if (!underWay.has(duty)) underWay.set(duty, take(duty, term, epoch));
    },
    rest: async () => {
      term.abort();
      await Promise.all(underWay.values());
    },
  };
}

async function leadOnce(options: LeaderOptions, duties: Duties): Promise<number> {
  const { id, store, dispatcher, leadMs = usualLeadMs, onError } = options;
  const epoch = await store.lead(id, leadMs);
  if (epoch === undefined) {
    // not waited for: they end in their own time, and leading may be ours again before that
    void duties.rest();
    return longestPauseMs;
  }
  duties.begin(epoch);
  const ticked = await store.tick({ epoch, isQueued: (delivery) => dispatcher.isQueued(delivery) });
  for (const fault of ticked.faults) onError(fault);
  for (const run of ticked.runs) dispatcher.poke(run);
  for (const run of ticked.overdue) await options.onOverdue?.(run).catch(onError);
  // one that cannot be sent is no reason to let the holds of other runs run out
  for (const renewal of ticked.renewals) await dispatcher.send([renewal]).catch(onError);
  const untilNext = (ticked.nextDueMs ?? Number.POSITIVE_INFINITY) - ticked.nowMs;
  return Math.min(longestPauseMs, Math.max(shortestPauseMs, untilNext));
}
