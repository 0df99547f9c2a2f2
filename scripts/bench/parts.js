// What worker and client of cephflow's side have in common: a task that does nothing, a cluster that is never asked more
// than its fsid.
import { task } from 'cephflow';

/** Prefix of the keys. */
export const prefix = 'bench';

const noop = task({
  name: 'bench.nothing',
  summary: 'Do nothing',
  risk: 'changes',
  params: {},
  async run() {},
});

/** The library of tasks, as a worker has it. */
export const tasks = new Map([['bench.nothing', { task: noop, hash: 'bench', file: 'bench' }]]);

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

/** The worker's own instance, which the cluster has named long ago. */
export const instance = { instance: 'bench', host: 'here', redis: 'embedded', version: '0' };
const named = { value: { ...instance, since: '2026-01-01T00:00:00Z' } };

const reads = {
  ceph: { osdMap: async () => map },
  machine: () => ({}),
  monitoring: {},
  markers: { get: async () => ({ instance: named }) },
};

/** The systems of the one cluster there is. */
export const systems = { read: () => reads, act: () => ({ ...reads, people: {} }), close: async () => {} };
