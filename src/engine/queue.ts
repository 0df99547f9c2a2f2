import { type Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { askRedis, closeRedis, duplicateRedis } from './redis.ts';
import type { Delivery } from './store.ts';

/** Jobs added by one command: more would keep Redis busy for too long. */
const addAtOnce = 500;
/** Entries of BullMQ's own event stream; nobody reads it. */
const eventsKept = 200;
/** How long a stopping consumer waits for its handlers after it has aborted them. */
const closeLimitMs = 10_000;
/** How long BullMQ believes in a worker without hearing of it, where nobody says. */
const usualLockMs = 30_000;

/** Say where the queue of a cluster is: prefix of the store's keys, name of the cluster. */
export interface QueuePlace {
  readonly prefix: string;
  readonly cluster: string;
  /** Absent: the usual queue of the cluster. */
  readonly queue?: string;
}

/** Put deliveries of steps into the queue of one cluster. The queue is a hint: the store is the truth. */
export interface StepQueue {
  send(deliveries: readonly Delivery[]): Promise<void>;
  /** Tell whether the delivery stands in the queue or is with a worker. */
  isQueued(delivery: Delivery): Promise<boolean>;
  close(): Promise<void>;
}

/** Take deliveries out of the queue of one cluster until closed. */
export interface Consumer {
  /** Abort what is under way (unless told not to), wait for it (10 s at most), and end. */
  close(options?: { readonly abort: boolean }): Promise<void>;
  /** Count the deliveries that nobody has taken, on the connection that the consumer was given: its own may be dead. */
  waiting(): Promise<number>;
}

/** Open the queue of a cluster, on its own connection like the given one. */
export function openQueue(redis: Redis, place: QueuePlace): StepQueue {
  const connection = duplicateRedis(redis, { enableAutoPipelining: false });
  const queue = new Queue<Delivery>(nameOf(place), {
    connection,
    prefix: prefixOf(place),
    skipWaitingForReady: true,
    streams: { events: { maxLen: eventsKept } },
    // What failed is told by the store; retries are the store's. A repeated id is dropped while its job exists.
    defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
  });
  queue.on('error', () => {
    // Told by the call that fails.
  });
  return {
    send: async (deliveries) => {
      for (let from = 0; from < deliveries.length; from += addAtOnce) {
        const jobs = deliveries.slice(from, from + addAtOnce).map(jobOf);
        await askRedis(connection, queue.addBulk(jobs));
      }
    },
    isQueued: async (delivery) => {
      const state = await askRedis(connection, queue.getJobState(idOf(delivery)));
      return state !== 'unknown' && state !== 'completed' && state !== 'failed';
    },
    close: async () => {
      await queue.close();
      await closeRedis(connection);
    },
  };
}

/** Say how deliveries are consumed. */
export interface ConsumerOptions extends QueuePlace {
  readonly concurrency: number;
  /**
   * How long BullMQ believes in a worker without hearing of it: as long as a lease lasts, since a delivery whose worker
   * died before it claimed the step counts as queued until then. Default 30 s.
   */
  readonly lockMs?: number;
  /** Carries out one delivery. `stopping` fires when the consumer is closed. */
  handle(delivery: Delivery, stopping: AbortSignal): Promise<void>;
  /** Told what a handler threw, and what BullMQ complains about. */
  onError(error: Error): void;
}

/** Begin to take deliveries of a cluster; needs a connection of the worker profile. */
export function startConsumer(redis: Redis, options: ConsumerOptions): Consumer {
  const connection = duplicateRedis(redis, { enableAutoPipelining: false, maxRetriesPerRequest: null });
  const stopping = new AbortController();
  const { lockMs = usualLockMs } = options;
  const worker = new Worker<Delivery>(
    nameOf(options),
    async (job) => {
      const delivery = readDelivery(job);
      if (delivery) await options.handle(delivery, stopping.signal);
    },
    {
      connection,
      prefix: prefixOf(options),
      concurrency: options.concurrency,
      lockDuration: lockMs,
      stalledInterval: lockMs,
      // A job whose worker died is thrown away, not run again: the lease of its step decides, and the store sends it anew.
      maxStalledCount: 0,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    },
  );
  worker.on('error', options.onError);
  worker.on('failed', (job, error) => {
    // the delivery of a worker that died is dropped: the lease of its step says so to people, and the store sends it anew
    if (job?.deferredFailure === undefined) options.onError(error);
  });
  return {
    waiting: async () => {
      const key = (name: string) => `${prefixOf(options)}:${nameOf(options)}:${name}`;
      const counts = [redis.llen(key('wait')), redis.zcard(key('prioritized'))];
      const [plain = 0, prioritized = 0] = await askRedis(redis, Promise.all(counts));
      return plain + prioritized;
    },
    close: async ({ abort } = { abort: true }) => {
      if (abort) stopping.abort();
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeLimitMs);
      });
      await Promise.race([worker.close(), limit]);
      clearTimeout(timer);
      await closeRedis(connection);
    },
  };
}

const nameOf = ({ cluster, queue }: QueuePlace) =>
  queue === undefined ? `steps-${cluster}` : `steps-${cluster}@${queue}`;

const prefixOf = ({ prefix }: QueuePlace) => `${prefix}:queue`;

const idOf = ({ run, step, delivery, renew }: Delivery) => `${run}-${step}-${renew ? 'h' : ''}${delivery}`;

/** BullMQ knows this many priorities; 1 goes first. */
const lowestPriority = 2_097_151;

/** Turns make the queue fair: every run's first deliveries go before any run's later ones. */
const jobOf = ({ turn = 1, ...delivery }: Delivery) => ({
  name: 'step',
  data: delivery,
  opts: { jobId: idOf(delivery), priority: Math.min(turn, lowestPriority) },
});

/** After Redis has lost a tail, jobs without their data were seen (research engines 2.3): they are dropped. */
function readDelivery({ data }: Job<Delivery>): Delivery | undefined {
  const { run, step, delivery } = data ?? {};
  const isWhole = typeof run === 'string' && Number.isInteger(step) && Number.isInteger(delivery);
  return isWhole ? data : undefined;
}
