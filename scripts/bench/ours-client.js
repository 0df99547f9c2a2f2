// cephflow: makes the plan and starts the run, as the command line does.
import { argv } from 'node:process';
import { createControl } from '../../dist/src/engine/control.js';
import { createDispatcher } from '../../dist/src/engine/dispatcher.js';
import { openQueue } from '../../dist/src/engine/queue.js';
import { connectRedis } from '../../dist/src/engine/redis.js';
import { openStore } from '../../dist/src/engine/store-open.js';
import { compileCanvas } from '../../dist/src/plan/compile.js';
import { answerUsage, tell, told } from './child.js';
import { map, prefix, tasks } from './parts.js';
import { shapeOf } from './shapes.js';

const [, , socket, shape, size] = argv;
const redis = await connectRedis(socket, 'producer');
const store = await openStore(redis, { prefix });
const dispatcher = createDispatcher({
  store,
  openQueue: (cluster) => openQueue(redis, { prefix, cluster }),
  onError: (error) => {
    throw error;
  },
});
const control = createControl(store, { dispatch: (run) => dispatcher.poke(run) });
answerUsage();
tell('ready');
await told('go');

const beganMs = Date.now();
const { canvas: main } = shapeOf(shape, Number(size));
const health = { status: 'HEALTH_OK', checks: [] };
const plan = compileCanvas(
  { name: 'bench', summary: 'Do nothing often', target: 'bench', main },
  { tasks, map, health, cluster: 'bench', contacts: [] },
);
const run = await control.startRun(plan, { by: 'bench' });
await dispatcher.close();
await store.close();
tell('added', { beganMs, run });
