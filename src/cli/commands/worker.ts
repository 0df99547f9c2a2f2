import { InvalidArgumentError } from 'commander';
import type { AddCommand } from '../context.ts';
import type { WorkerWishes } from '../labour.ts';

/** Add `worker`: carry out steps until SIGTERM or ^C; what is begun is finished first. */
export const addWorker: AddCommand = (program, start) => {
  program
    .command('worker')
    .description('carry out steps of all runs of a shared Redis (redis.url); any number may run')
    .option('--concurrency <count>', 'steps at a time; default: engine.concurrency of the config', readCount)
    .option('--name <name>', 'how it is called in records, besides machine and process')
    .action((wishes: WorkerWishes, command) =>
      start(command, async (context) => {
        const { workUntilStopped } = await import('../labour.ts');
        await workUntilStopped(context, wishes);
        return 0;
      }),
    );
};

function readCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}
