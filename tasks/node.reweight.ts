import { drainOutlook, isSameWeight, movementStops, node, number, requireOsd, task } from 'cephflow';

export default task({
  name: 'node.reweight',
  summary: 'Set the CRUSH weight of all OSDs of a node at once; Ceph then moves data',
  risk: 'moves-data',
  params: {
    node: node('The node'),
    weight: number('New CRUSH weight of each of its OSDs (TiB by convention)', { min: 0 }),
  },

  async outlook({ node, weight }, { ceph }) {
    return weight === 0 ? drainOutlook(ceph, node.osds) : { refusals: [], effects: [] };
  },

  async done({ node, weight }, { ceph }) {
    const map = await ceph.osdMap();
    const others = node.osds.filter((osd) => !isSameWeight(requireOsd(map, osd).weight, weight));
    if (others.length === 0) return true;
    return {
      waitingFor: `${others.map((osd) => osd.name).join(', ')} have another CRUSH weight than ${weight}`,
      progress: { value: node.osds.length - others.length, target: node.osds.length, unit: 'OSDs' },
    };
  },

  async blockers({ node, weight }, { ceph }) {
    const stops = movementStops(await ceph.osdMap());
    return weight === 0 ? [...stops, ...(await drainOutlook(ceph, node.osds)).refusals] : stops;
  },

  async remember({ node }, { ceph }) {
    const map = await ceph.osdMap();
    return node.osds.map((osd) => ({ uuid: osd.uuid, weight: requireOsd(map, osd).weight }));
  },

  // one command an OSD: `crush reweight-subtree` would also change OSDs that the plan does not know
  async run({ node, weight }, { ceph, log }) {
    for (const osd of node.osds) requireOsd(await ceph.osdMap(), osd);
    for (const osd of node.osds) {
      await ceph.reweight(osd, weight);
      log(`${osd.name}: CRUSH weight ${osd.weight} -> ${weight}`);
    }
  },

  async undo({ node }, { ceph, remembered = [] }) {
    const map = await ceph.osdMap();
    for (const osd of node.osds) {
      requireOsd(map, osd);
      const before = remembered.find((one) => one.uuid === osd.uuid);
      await ceph.reweight(osd, before?.weight ?? osd.weight);
    }
  },
});
