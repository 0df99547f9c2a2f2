import { drainOutlook, isSameWeight, movementStops, number, osd, requireOsd, task } from 'cephflow';

export default task({
  name: 'osd.reweight',
  summary: 'Set the CRUSH weight of one OSD; Ceph then moves data',
  risk: 'moves-data',
  params: {
    osd: osd('The OSD'),
    weight: number('New CRUSH weight (TiB by convention)', { min: 0 }),
  },

  async outlook({ osd, weight }, { ceph }) {
    return weight === 0 ? drainOutlook(ceph, [osd]) : { refusals: [], effects: [] };
  },

  async done({ osd, weight }, { ceph }) {
    const live = requireOsd(await ceph.osdMap(), osd);
    return (
      isSameWeight(live.weight, weight) || { waitingFor: `the CRUSH weight of ${osd.name} is ${live.weight}` }
    );
  },

  async blockers({ osd, weight }, { ceph }) {
    const stops = movementStops(await ceph.osdMap());
    return weight === 0 ? [...stops, ...(await drainOutlook(ceph, [osd])).refusals] : stops;
  },

  async remember({ osd }, { ceph }) {
    return requireOsd(await ceph.osdMap(), osd).weight;
  },

  async run({ osd, weight }, { ceph }) {
    requireOsd(await ceph.osdMap(), osd);
    await ceph.reweight(osd, weight);
  },

  async undo({ osd }, { ceph, remembered }) {
    requireOsd(await ceph.osdMap(), osd);
    await ceph.reweight(osd, remembered ?? osd.weight);
  },
});
