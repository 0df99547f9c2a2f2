// BullMQ alone: a worker that does nothing with each job; in a chain it adds the next.
import { argv } from 'node:process';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { answerUsage, concurrency, tell } from './child.js';

const [, , socket, shape, size] = argv;
const connection = () => new Redis(socket, { maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection: connection() });
const options = { removeOnComplete: true, removeOnFail: true };

let done = 0;
const worker = new Worker(
  'bench',
  async ({ data }) => {
    if (shape === 'chain' && data.step + 1 < Number(size)) {
      await queue.add('step', { run: 'bench', step: data.step + 1, delivery: 1 }, options);
    }
  },
  { connection: connection(), concurrency },
);
worker.on('completed', () => {
  done += 1;
  if (done === Number(size)) tell('done', { endedMs: Date.now() });
});
await worker.waitUntilReady();
answerUsage();
tell('ready');
