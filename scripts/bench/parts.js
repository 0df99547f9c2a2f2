// What worker and client of cephflow's side have in common: tasks, and a cluster that answers out of this process.
import { integer, osd, task } from 'cephflow';

/** Prefix of the keys. */
export const prefix = 'bench';

const noop = task({
  name: 'bench.nothing',
  summary: 'Do nothing',
  risk: 'changes',
  params: {},
  async run() {},
});

const noopOnOsd = task({
  name: 'bench.osd',
  summary: 'Do nothing with an OSD',
  risk: 'changes',
  params: { osd: osd('The OSD'), weight: integer('Its weight', { default: 0 }) },
  async run() {},
});

/** Steps that were asked at least once, and how often all of them were. */
const asked = { steps: new Set(), count: 0 };

const wait = task({
  name: 'bench.wait',
  summary: 'Wait until an OSD is empty',
  risk: 'reads',
  params: { osd: osd('The OSD') },
  poll: '30s',
  async done({ osd }, { ceph, step }) {
    asked.steps.add(step.id);
    asked.count += 1;
    const [{ epoch }, { checks }] = await Promise.all([ceph.osdMap(), ceph.health()]);
    const left = Number(checks[0].summary.split('/')[0]);
    const waitingFor = `${osd.name} (epoch ${epoch}): ${checks[0].summary}`;
    return { waitingFor, progress: { value: objects - left, target: objects, unit: 'objects' } };
  },
});

/** Tell how many steps `done` was asked for so far, and how often in all. */
export const askedSoFar = () => ({ askedSteps: asked.steps.size, askedCount: asked.count });

/** The library of tasks, as a worker has it. */
export const tasks = new Map(
  [noop, noopOnOsd, wait].map((one) => [one.name, { task: one, hash: 'bench', file: 'bench' }]),
);

/** A map as far as a plan and the worker's look at the fsid need it. */
export const map = {
  epoch: 1,
  fsid: 'bench',
  osds: [],
  nodes: [],
  pools: [],
  flags: [],
  backfillfullRatio: 0.9,
};

/** Objects that move in the fake cluster: some at every question, and never all. */
const objects = 1_000_000;
let left = objects;

function health() {
  left = Math.max(1, left - 100);
  const summary = `${left}/${objects} objects misplaced`;
  const check = { code: 'OBJECT_MISPLACED', severity: 'HEALTH_WARN', summary, subjects: [], isMuted: false };
  return { status: 'HEALTH_WARN', checks: [check] };
}

const ceph = { osdMap: async () => map, health: async () => health() };
/** The worker's own instance, which the cluster has named long ago. */
export const instance = { instance: 'bench', host: 'here', redis: 'embedded', version: '0' };
const named = { value: { ...instance, since: '2026-01-01T00:00:00Z' } };

const reads = {
  ceph,
  machine: () => ({}),
  monitoring: {},
  markers: { get: async () => ({ instance: named }) },
};

/** The systems of the one cluster there is. */
export const systems = { read: () => reads, act: () => ({ ...reads, people: {} }), close: async () => {} };
