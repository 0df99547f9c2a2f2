// BullMQ alone: a client that adds the jobs.
import { argv } from 'node:process';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { addAtOnce, answerUsage, tell, told } from './child.js';

const [, , socket, shape, size] = argv;
const queue = new Queue('bench', { connection: new Redis(socket, { maxRetriesPerRequest: null }) });
await queue.waitUntilReady();
answerUsage();
tell('ready');
await told('go');

const beganMs = Date.now();
const opts = { removeOnComplete: true, removeOnFail: true };
const jobs = shape === 'chain' ? 1 : Number(size);
for (let from = 0; from < jobs; from += addAtOnce) {
  const count = Math.min(addAtOnce, jobs - from);
  const batch = Array.from({ length: count }, (_, index) => ({
    name: 'step',
    data: { run: 'bench', step: from + index, delivery: 1 },
    opts: { ...opts, jobId: `bench-${from + index}-1` },
  }));
  await queue.addBulk(batch);
}
tell('added', { beganMs });
