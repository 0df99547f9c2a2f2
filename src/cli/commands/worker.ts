import { InvalidArgumentError } from 'commander';
import { type AddCommand, withExample } from '../context.ts';
import type { WorkerWishes } from '../labour.ts';
import { queueName } from '../queue-name.ts';

/** Add `worker`: carry out steps until SIGTERM or ^C; what is begun is finished first. */
export const addWorker: AddCommand = (program, start) => {
  const command = program
    .command('worker')
    .description('carry out steps of all runs of a shared Redis (redis.url); any number may run')
    .option('--concurrency <count>', 'steps at a time; default: engine.concurrency of the config', readCount)
    .option(
      '--queue <names...>',
      'queues that it serves; default: engine.queues of the config, or default',
      readQueue,
    )
    .option('--name <name>', 'how it is called in records, besides machine and process')
    .action((wishes: WorkerWishes, self) =>
      start(self, async (context) => {
        const { workUntilStopped } = await import('../labour.ts');
        await workUntilStopped(context, wishes);
        return 0;
      }),
    );
  withExample(command, 'cephflow worker', 'cephflow worker --queue default fast --concurrency 50');
};

function readQueue(name: string, before: readonly string[] = []): readonly string[] {
  if (queueName.test(name)) return [...before, name];
  throw new InvalidArgumentError('It must be lower-case letters, digits and hyphens, such as fast.');
}

function readCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}
