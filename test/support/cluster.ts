import type { CephReads, Health, OsdMap, OsdState } from '../../src/task/ceph.ts';
import type { MachineReads, ReadContext } from '../../src/task/context.ts';
import type { NodeTarget, OsdTarget } from '../../src/task/targets.ts';

/** Build an OSD of the map: `osd.N`, uuid `uuid-N`, two OSDs a node (`node-1` has 0 and 1). */
export function osdState(id: number, change: Partial<OsdState> = {}): OsdState {
  const node = `node-${Math.floor(id / 2) + 1}`;
  const whole = { isUp: true, isIn: true, isDestroyed: false, weight: 1, deviceClass: 'hdd' };
  return { id, uuid: `uuid-${id}`, node, ...whole, ...change };
}

/** Build a map of 8 OSDs on 4 nodes, all healthy, one pool of size 3. */
export function osdMap(change: Partial<OsdMap> = {}): OsdMap {
  const osds = change.osds ?? Array.from({ length: 8 }, (_, id) => osdState(id));
  const names = [...new Set(osds.map((osd) => osd.node).filter((name) => name !== undefined))];
  const location = [{ type: 'root', name: 'default' }];
  const nodes = names.map((name) => ({
    name,
    location,
    osdIds: osds.filter((osd) => osd.node === name).map((osd) => osd.id),
  }));
  const pools = [{ id: 1, name: 'data', size: 3, minSize: 2, ruleId: 0, pgCount: 32 }];
  return { epoch: 10, fsid: 'fsid-1', osds, nodes, pools, flags: [], backfillfullRatio: 0.9, ...change };
}

/** Freeze an OSD of the map as a plan would. */
export function osdTarget(id: number): OsdTarget {
  const { uuid, node = 'nowhere', weight } = osdState(id);
  return { id, name: `osd.${id}`, uuid, node, weight };
}

/** Freeze a node of the map as a plan would: `node-N`. */
export function nodeTarget(number: number): NodeTarget {
  const osds = [osdTarget((number - 1) * 2), osdTarget((number - 1) * 2 + 1)];
  return { name: `node-${number}`, osds, location: [{ type: 'root', name: 'default' }] };
}

/** Be in perfect health. */
const healthy: Health = { status: 'HEALTH_OK', checks: [] };

const status = {
  epoch: 10,
  isMgrAvailable: true,
  osdCount: 8,
  upOsdCount: 8,
  inOsdCount: 8,
  remappedPgs: 0,
  pgCount: 32,
  pgStates: { 'active+clean': 32 },
  objectCount: 800,
  misplacedObjects: 0,
  degradedObjects: 0,
  recoveringBytesPerSecond: 0,
};

/** Answer every question of a healthy cluster; a test replaces the answers it is about. */
export function cephAnswering(
  change: Partial<{ [K in keyof CephReads]: Awaited<ReturnType<CephReads[K]>> }> = {},
): CephReads {
  const answers = {
    osdMap: osdMap(),
    health: healthy,
    status,
    placementGroups: [],
    usage: [],
    services: [],
    safeToDestroy: { safe: [0, 1, 2, 3, 4, 5, 6, 7], hasPgs: [], unknown: [] },
    okToStop: { isOk: true, wouldBecomeInactive: [], wouldBecomeMoreDegraded: [] },
    projectRemoval: {
      method: 'osdmaptool' as const,
      movedShards: 20,
      movedBytes: 1024 ** 3,
      peakRatio: 0.5,
      peakOsd: 'osd.4',
      infeasiblePools: [],
    },
    ...change,
  };
  const say =
    <T>(answer: T) =>
    async () =>
      answer;
  return {
    osdMap: say(answers.osdMap),
    health: say(answers.health),
    status: say(answers.status),
    placementGroups: say(answers.placementGroups),
    usage: say(answers.usage),
    services: say(answers.services),
    safeToDestroy: say(answers.safeToDestroy),
    okToStop: say(answers.okToStop),
    projectRemoval: say(answers.projectRemoval),
  };
}

/** Give a task the context of a question, with these parts. */
export function asking(parts: Partial<ReadContext> = {}): ReadContext {
  const machine: MachineReads = {
    hostname: async () => 'node-1',
    devices: async () => [],
    preparedOsds: async () => [],
    isOsdRunning: async () => false,
  };
  return {
    ceph: cephAnswering(),
    machine: () => machine,
    monitoring: { downtimes: async () => [] },
    step: { run: 'run-1', id: 'step', key: 'run-1/step', cluster: 'lab', by: 'tester', baseline: healthy },
    decision: undefined,
    nowMs: Date.parse('2026-11-23T00:00:00Z'),
    signal: new AbortController().signal,
    ...parts,
  };
}

/** The status of the healthy cluster, to be changed by a test. */
export const healthyStatus = status;
