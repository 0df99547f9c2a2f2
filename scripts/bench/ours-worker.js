// cephflow: the real worker, as `cephflow worker` starts it, on a task that does nothing.
import { argv } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { connectRedis } from '../../dist/src/engine/redis.js';
import { openStore } from '../../dist/src/engine/store-open.js';
import { startWorker } from '../../dist/src/engine/worker.js';
import { concurrency, tell } from './child.js';
import { instance, prefix, systems, tasks } from './parts.js';

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
tell('ready');

// the end of the run is an event of its own: waiting for it costs the worker one blocked connection
const run = await firstRun();
let last = '0';
for (let isOver = false; !isOver; ) {
  const events = await store.events(run, last, { limit: 5000, waitMs: 1000 });
  last = events.at(-1)?.seq ?? last;
  const end = events.find(({ kind, state }) => kind === 'run-state-changed' && state === 'succeeded');
  isOver = end !== undefined;
  if (end) tell('done', { endedMs: end.atMs });
}

async function firstRun() {
  for (;;) {
    const [head] = await store.listRuns();
    if (head) return head.run;
    await pause(50);
  }
}
