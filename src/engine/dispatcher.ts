import { CephflowError } from '../base/errors.ts';
import type { StepQueue } from './queue.ts';
import type { Delivery, Store } from './store.ts';

/** A worker that made steps ready has taken up what it can within this; the rest is for others. */
const laterMs = 25;

/** Bring what stands in the outbox of runs into the queues of their clusters. */
export interface Dispatcher {
  /** Dispatch a run soon. Calls while it is being dispatched become one more round. */
  poke(run: string): void;
  /** Dispatch a run in a moment: whoever made steps ready may have taken them up itself by then. */
  pokeLater(run: string): void;
  send(deliveries: readonly Delivery[]): Promise<void>;
  isQueued(delivery: Delivery): Promise<boolean>;
  /** Wait until nothing is under way, and close the queues. */
  close(): Promise<void>;
}

/** Say what a dispatcher needs. An error leaves the outbox as it is, or what was taken unclaimed: the leader sends it anew. */
export interface DispatcherOptions {
  readonly store: Pick<Store, 'takeReady' | 'planHead'>;
  /** `queue`: absent for the usual one of the cluster. */
  openQueue(cluster: string, queue?: string): StepQueue;
  onError(error: unknown): void;
}

/** Make a dispatcher; it opens a cluster's queue when it first needs it. */
export function createDispatcher({ store, openQueue, onError }: DispatcherOptions): Dispatcher {
  const queues = new Map<string, StepQueue>();
  const rounds = new Map<string, { again: boolean; done: Promise<void> }>();
  const later = delayed(laterMs, (run) => poke(run));
  let isClosed = false;

  async function queueOf({ run, queue: name }: Delivery): Promise<StepQueue> {
    const { cluster } = await store.planHead(run);
    // one that is opened now would be closed by nobody
    if (isClosed) throw new CephflowError('COMMAND_ABORTED', 'the worker is stopping');
    const place = JSON.stringify([cluster, name]);
    const queue = queues.get(place) ?? openQueue(cluster, name);
    queues.set(place, queue);
    return queue;
  }

  async function dispatch(run: string): Promise<void> {
    const byQueue = new Map<StepQueue, Delivery[]>();
    for (const delivery of await store.takeReady(run)) {
      const queue = await queueOf(delivery);
      const deliveries = byQueue.get(queue) ?? [];
      deliveries.push(delivery);
      byQueue.set(queue, deliveries);
    }
    for (const [queue, deliveries] of byQueue) await queue.send(deliveries);
  }

  async function work(run: string): Promise<void> {
    // Let the other completions of this turn of the event loop join in.
    await new Promise(setImmediate);
    for (let isWanted = true; isWanted; ) {
      const round = rounds.get(run);
      if (round) round.again = false;
      await dispatch(run).catch(onError);
      isWanted = rounds.get(run)?.again ?? false;
    }
    rounds.delete(run);
  }

  function poke(run: string): void {
    const round = rounds.get(run);
    if (round) round.again = true;
    else {
      const started = { again: false, done: Promise.resolve() };
      rounds.set(run, started);
      started.done = work(run);
    }
  }

  return {
    poke,
    pokeLater: later.add,
    send: async (deliveries) => {
      for (const delivery of deliveries) await (await queueOf(delivery)).send([delivery]);
    },
    isQueued: async (delivery) => (await queueOf(delivery)).isQueued(delivery),
    close: async () => {
      later.flush();
      // what was poked is still brought into its queue; only then no queue is opened any more
      await Promise.all([...rounds.values()].map(({ done }) => done));
      isClosed = true;
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

/** Do something for each name some time after it was first added; `flush` does what is left at once. */
function delayed(ms: number, act: (name: string) => void) {
  const timers = new Map<string, NodeJS.Timeout>();
  const fire = (name: string) => {
    clearTimeout(timers.get(name));
    timers.delete(name);
    act(name);
  };
  return {
    add: (name: string) => {
      if (!timers.has(name))
        timers.set(
          name,
          setTimeout(() => fire(name), ms),
        );
    },
    flush: () => {
      for (const name of [...timers.keys()]) fire(name);
    },
  };
}
