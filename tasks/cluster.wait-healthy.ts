import { healthBlockers, placementBlockers, task } from 'cephflow';

export default task({
  name: 'cluster.wait-healthy',
  summary: 'Wait until no health check endangers data and every placement group is where it belongs',
  risk: 'reads',
  params: {},
  poll: '10s',
  // statistics lag behind the map by up to two periods of 5 s
  settle: { polls: 3, over: '10s' },
  stall: '30m',

  async done(_, { ceph, step }) {
    const [health, status, map] = await Promise.all([ceph.health(), ceph.status(), ceph.osdMap()]);
    const reasons = [...healthBlockers(health, step.baseline), ...placementBlockers(status, map)];
    if (reasons.length === 0) return true;
    const left = status.misplacedObjects + status.degradedObjects;
    return { waitingFor: reasons.join('; '), progress: { value: left, target: 0, unit: 'objects to move' } };
  },
});
