// cephflow: the real worker, as `cephflow worker` starts it.
import { argv } from 'node:process';
import { connectRedis } from '../../dist/src/engine/redis.js';
import { openStore } from '../../dist/src/engine/store-open.js';
import { startWorker } from '../../dist/src/engine/worker.js';
import { answerUsage, concurrency, tell } from './child.js';
import { askedSoFar, instance, prefix, systems, tasks } from './parts.js';

const [, , socket] = argv;
const redis = await connectRedis(socket, 'worker');
const store = await openStore(redis, { prefix });
startWorker({
  redis,
  store,
  prefix,
  tasks,
  concurrency,
  clusters: ['bench'],
  systemsFor: async () => systems,
  leaseMs: 30_000,
  name: 'bench',
  instance,
  log: (line) => {
    throw new Error(line);
  },
});
answerUsage(askedSoFar);
tell('ready');
