import { osd, requireOsd, task, unreportedPgs } from 'cephflow';

export default task({
  name: 'osd.wait-empty',
  summary: 'Wait until no placement group needs an OSD any more',
  risk: 'reads',
  params: { osd: osd('The OSD') },
  poll: '10s',
  // statistics lag behind the map by up to two periods of 5 s
  settle: { polls: 3, over: '10s' },
  stall: '30m',

  async done({ osd }, { ceph }) {
    const map = await ceph.osdMap();
    requireOsd(map, osd);
    const pgs = await ceph.placementGroups();
    const left = pgs.filter((pg) => pg.up.includes(osd.id) || pg.acting.includes(osd.id));
    const progress = { value: left.length, target: 0, unit: 'PGs' };
    if (left.length > 0) return { waitingFor: `${left.length} PGs are still on ${osd.name}`, progress };
    const unreported = unreportedPgs(map, pgs.length);
    if (unreported > 0) return { waitingFor: `${unreported} PGs have no known place` };
    const { safe } = await ceph.safeToDestroy([osd]);
    return (
      safe.includes(osd.id) || { waitingFor: `Ceph does not yet call ${osd.name} safe to destroy`, progress }
    );
  },
});
