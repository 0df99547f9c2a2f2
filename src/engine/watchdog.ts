import type { Consumer, ConsumerOptions } from './queue.ts';

/** Looks in a row that find nothing wrong but that nothing is begun: one may fall between two deliveries. */
const looksBeforeAnew = 3;

/** Say how a consumer is watched. */
export interface WatchOptions extends ConsumerOptions {
  /** Deliveries that waited for so long, with slots free and none begun, say that the consumer has gone dead. */
  readonly silenceMs: number;
  /** Told when the consumer is made anew. */
  log(line: string): void;
}

/**
 * Keep a consumer that takes what waits. After a failover BullMQ's worker may have a connection that has ended for ever,
 * without a word (bullmq#4378): it looks well and begins nothing. Then another takes its place.
 * @param start makes a consumer of these options
 */
export function watchConsumer(
  options: WatchOptions,
  start: (options: ConsumerOptions) => Consumer,
): Consumer {
  const { silenceMs, concurrency, cluster, onError, log } = options;
  const seen = {
    underWay: 0,
    begun: 0,
    begunBefore: 0,
    looks: 0,
    isLooking: false,
    isClosed: false,
  };
  const handle: ConsumerOptions['handle'] = async (delivery, stopping) => {
    seen.begun += 1;
    seen.underWay += 1;
    try {
      await options.handle(delivery, stopping);
    } finally {
      seen.underWay -= 1;
    }
  };
  let consumer = start({ ...options, handle });
  const closing: Promise<void>[] = [];

  async function look(): Promise<void> {
    const isIdle = seen.begun === seen.begunBefore && seen.underWay < concurrency;
    seen.begunBefore = seen.begun;
    const waiting = isIdle ? await consumer.waiting() : 0;
    seen.looks = waiting > 0 && seen.begun === seen.begunBefore ? seen.looks + 1 : 0;
    if (seen.isClosed || seen.looks < looksBeforeAnew) return;
    seen.looks = 0;
    log(
      `${waiting} deliveries of ${cluster} wait and none is begun: the connection to the queue is made anew`,
    );
    // what it has under way goes on; it takes nothing new
    closing.push(consumer.close({ abort: false }).catch(onError));
    consumer = start({ ...options, handle });
  }

  const timer = setInterval(() => {
    // while Redis does not answer, one question is enough
    if (seen.isLooking) return;
    seen.isLooking = true;
    look()
      .catch(onError)
      .finally(() => {
        seen.isLooking = false;
      });
  }, silenceMs / looksBeforeAnew);
  return {
    waiting: () => consumer.waiting(),
    close: async () => {
      clearInterval(timer);
      seen.isClosed = true;
      await Promise.all([...closing, consumer.close()]);
    },
  };
}
