import type { Crew } from './deliver.ts';

/**
 * Count the hands of a worker for one queue. Deliveries from BullMQ take one each; what is free meanwhile is lent to steps
 * that are claimed straight from the outbox. BullMQ is not told: it looks at its limit only when a delivery has ended, and
 * one that takes an hour would keep renewals and other runs waiting. So there may be twice as many for a moment.
 * @param size hands in all
 * @param begin looks after the end and the errors of what was begun
 */
export function createCrew(
  size: number,
  begin: (work: Promise<void>) => Promise<void>,
): Crew & { busy(work: () => Promise<void>): Promise<void> } {
  const count = { busy: 0, lent: 0 };
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
      count.lent += free;
      return free;
    },
    giveBack: (unused) => {
      count.lent -= unused;
    },
    begin: (work) => {
      const done = work().finally(() => {
        count.lent -= 1;
      });
      void begin(done);
    },
  };
}
