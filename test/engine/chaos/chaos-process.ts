import { connectRedis } from '../../../src/engine/redis.ts';
import { openStore } from '../../../src/engine/store-open.ts';
import type { Systems } from '../../../src/engine/systems.ts';
import { startWorker } from '../../../src/engine/worker.ts';
import { fakeMarkers, ourInstance } from '../fake-markers.ts';
import { noteConfirmed } from './confirmed.ts';
import { withCrashPoints } from './crash-points.ts';
import type { Errand } from './crew.ts';
import { cluster, fsid, planOfShape } from './shapes.ts';
import { openWorld } from './world.ts';
import { worldTasks } from './world-tasks.ts';

// A worker or a client in a process of its own, which may be killed at a crash point.
const errand = JSON.parse(process.argv[2] ?? '{}') as Errand;
const world = openWorld(errand.folder);
const redis = await connectRedis(errand.redis, 'worker');
const { prefix, resendMs, dispatchWindow } = errand;
const opened = await openStore(redis, { prefix, resendMs, dispatchWindow });
const noted = errand.aof === undefined ? opened : noteConfirmed(opened, errand.folder, errand.aof);
const { store, reach } = withCrashPoints({ store: noted, redis }, errand.kills, errand.folder);

if (errand.role === 'client') {
  for (const { run, shape } of errand.runs)
    await store.createRun(planOfShape(shape, world), { by: 'ann', run });
  await store.close();
} else {
  const ceph = { osdMap: async () => ({ fsid }) };
  const all = { ceph, machine: () => ({}), monitoring: {}, people: {}, markers: fakeMarkers() };
  const systems = {
    read: () => all,
    act: () => all,
    markers: () => all.markers,
    close: async () => undefined,
  } as unknown as Systems;
  const worker = startWorker({
    redis,
    store,
    prefix,
    clusters: [cluster],
    systemsFor: async () => systems,
    tasks: worldTasks(world, reach),
    concurrency: errand.concurrency,
    leaseMs: errand.leaseMs,
    leadMs: errand.leadMs,
    instance: ourInstance,
    name: `${errand.name}:${process.pid}`,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write('working\n');
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  await worker.stop(0);
  await store.close();
}
