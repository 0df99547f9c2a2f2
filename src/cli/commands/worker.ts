import { InvalidArgumentError } from 'commander';
import type { AddCommand } from '../context.ts';

/** Add `worker`: carry out steps until SIGTERM or ^C; what is begun is finished first. */
export const addWorker: AddCommand = (program, start) => {
  program
    .command('worker')
    .description('carry out steps of all runs of a shared Redis (redis.url); any number may run')
    .option('--concurrency <count>', 'steps at a time; default: engine.concurrency of the config', readCount)
    .action((options: { concurrency?: number }, command) =>
      start(command, async ({ wire }) => {
        await (await wire.engine()).runWorker(options.concurrency);
        return 0;
      }),
    );
};

function readCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}
