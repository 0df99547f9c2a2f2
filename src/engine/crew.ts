import type { Crew } from './deliver.ts';

/**
 * Count the hands of a worker for one queue. Deliveries from BullMQ take one each; what is free meanwhile is lent to steps
 * that are claimed straight from the outbox, and BullMQ is told to send so many fewer.
 * @param size hands in all; there may be one more for a moment, since BullMQ cannot be told to send none
 * @param begin starts some work and looks after its end and its errors
 * @param limit tells BullMQ how many deliveries may be under way
 */
export function createCrew(
  size: number,
  begin: (work: Promise<void>) => Promise<void>,
  limit: (most: number) => void,
): Crew & { busy(work: () => Promise<void>): Promise<void> } {
  const count = { busy: 0, lent: 0 };
  const lend = (by: number) => {
    if (by === 0) return;
    count.lent += by;
    limit(size - count.lent);
  };
  return {
    busy: async (work) => {
      count.busy += 1;
      try {
        await work();
      } finally {
        count.busy -= 1;
      }
    },
    borrow: () => {
      const free = Math.max(0, size - count.busy - count.lent);
      lend(free);
      return free;
    },
    giveBack: (unused) => lend(-unused),
    begin: (work) => {
      void begin(work().finally(() => lend(-1)));
    },
  };
}
