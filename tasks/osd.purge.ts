import { findOsd, isSameWeight, osd, requireOsd, task } from 'cephflow';

export default task({
  name: 'osd.purge',
  summary: 'Remove an empty, stopped OSD from the cluster for good: map, CRUSH and key',
  risk: 'destroys-data',
  params: { osd: osd('The OSD') },
  poll: '5s',
  limit: '2m',

  // the goal is that this uuid is gone: the id may already belong to a new OSD
  async done({ osd }, { ceph }) {
    return findOsd(await ceph.osdMap(), osd) === undefined || { waitingFor: `${osd.name} is in the OSD map` };
  },

  async blockers({ osd }, { ceph }) {
    const live = requireOsd(await ceph.osdMap(), osd);
    const reasons: string[] = [];
    if (live.isUp) reasons.push(`${osd.name} is up`);
    // with a weight left, purging moves data a second time
    if (!isSameWeight(live.weight, 0)) reasons.push(`${osd.name} still has CRUSH weight ${live.weight}`);
    const { safe, hasPgs } = await ceph.safeToDestroy([osd]);
    if (hasPgs.includes(osd.id)) reasons.push(`placement groups still need ${osd.name}`);
    else if (!safe.includes(osd.id))
      reasons.push(`Ceph cannot tell yet whether ${osd.name} is safe to destroy`);
    return reasons;
  },

  // without the flag that means --force, Ceph checks once more by itself, atomically
  async run({ osd }, { ceph }) {
    requireOsd(await ceph.osdMap(), osd);
    await ceph.purge(osd);
  },
});
