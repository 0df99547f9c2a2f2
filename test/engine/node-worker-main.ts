import { loadConfig } from '../../src/cli/config.ts';
import { openSystems } from '../../src/cli/open-systems.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import type { Systems } from '../../src/engine/systems.ts';
import { startWorker } from '../../src/engine/worker.ts';
import type { CephReads } from '../../src/task/ceph.ts';
import { hostname, text } from '../../src/task/params.ts';
import { task } from '../../src/task/task.ts';
import { fakeMarkers, ourInstance } from './fake-markers.ts';

// A worker that reaches its nodes over ssh as the config says; of Ceph it knows the fsid only.
const [socket = '', prefix = '', name = '', config = ''] = process.argv.slice(2);

const unitsOf = (units: string) => units.split(',').map(Number);
const start = task({
  name: 'daemons.start',
  summary: 'Start daemons one after the other',
  risk: 'changes',
  params: { node: hostname('Where'), units: text('Which, separated by commas') },
  poll: '1s',
  async done({ node, units }, { machine }) {
    for (const unit of unitsOf(units)) {
      if (!(await machine(node).isOsdRunning(unit))) return { waitingFor: `${unit} runs` };
    }
    return true;
  },
  async run({ node, units }, { machine }) {
    for (const unit of unitsOf(units)) await machine(node).startOsd(unit);
  },
});

async function systemsFor(cluster: string): Promise<Systems> {
  const read = await loadConfig({ named: config, system: '/nowhere', user: '/nowhere' });
  const systems = openSystems({ config: read, cluster, home: '/nowhere', log: () => undefined });
  const ceph = { osdMap: async () => ({ fsid: 'f51d' }) } as CephReads;
  return { ...systems, read: (signal) => ({ ...systems.read(signal), ceph, markers: fakeMarkers() }) };
}

const redis = await connectRedis(socket, 'worker');
const store = await openStore(redis, { prefix });
const worker = startWorker({
  redis,
  store,
  prefix,
  clusters: ['lab'],
  systemsFor,
  tasks: new Map([[start.name, { task: start, file: start.name, hash: 'h1' }]]),
  concurrency: 4,
  leaseMs: 1500,
  name,
  instance: ourInstance,
  log: (line) => process.stderr.write(`${line}\n`),
});
process.once('SIGTERM', async () => {
  await worker.stop(20_000);
  await store.close();
});
