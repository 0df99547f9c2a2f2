import { CephflowError, osd, requireOsd, task, unreportedPgs } from 'cephflow';

export default task({
  name: 'osd.stop',
  summary: 'Stop the daemon of one OSD, and keep it from coming back at boot',
  risk: 'stops-service',
  params: { osd: osd('The OSD') },
  poll: '5s',
  limit: '3m',

  // better refused now than found after a drain of twelve hours; an error of ssh tells what to do
  async outlook({ osd }, { ceph, machine }) {
    try {
      await machine(osd.node).hostname();
      return { refusals: [], effects: [] };
    } catch (error) {
      const isGone = error instanceof CephflowError && error.code === 'SSH_UNREACHABLE';
      if (!isGone || requireOsd(await ceph.osdMap(), osd).isUp) throw error;
      const effect = `${osd.name} is down and ${osd.node} does not answer: the step will wait until a person skips it`;
      return { refusals: [], effects: [effect] };
    }
  },

  // the last clause lets the statistics catch up: until then ok-to-stop would answer the next step from the past
  async done({ osd }, { ceph, machine }) {
    const map = await ceph.osdMap();
    if (requireOsd(map, osd).isUp) return { waitingFor: `${osd.name} is up` };
    if (await machine(osd.node).isOsdRunning(osd.id))
      return { waitingFor: `the process of ${osd.name} still runs` };
    const pgs = await ceph.placementGroups();
    const stale = pgs.filter((pg) => pg.acting.includes(osd.id)).length + unreportedPgs(map, pgs.length);
    return stale === 0 || { waitingFor: `the statistics of ${stale} PGs still count on ${osd.name}` };
  },

  async blockers({ osd }, { ceph }) {
    requireOsd(await ceph.osdMap(), osd);
    const { isOk, wouldBecomeInactive, wouldBecomeMoreDegraded } = await ceph.okToStop([osd]);
    const reasons: string[] = [];
    if (wouldBecomeInactive.length > 0)
      reasons.push(`without ${osd.name} PGs would stop serving: ${some(wouldBecomeInactive)}`);
    // availability is not durability: Ceph itself allows a stop that leaves a PG on its last copy
    if (wouldBecomeMoreDegraded.length > 0)
      reasons.push(`PGs lack copies already and would lose another: ${some(wouldBecomeMoreDegraded)}`);
    if (!isOk && reasons.length === 0) reasons.push(`Ceph says that ${osd.name} is not ok to stop`);
    return reasons;
  },

  async run({ osd }, { ceph, machine }) {
    requireOsd(await ceph.osdMap(), osd);
    await machine(osd.node).stopOsd(osd.id);
  },

  async undo({ osd }, { ceph, machine }) {
    requireOsd(await ceph.osdMap(), osd);
    await machine(osd.node).startOsd(osd.id);
  },
});

/** As many PG ids as a line can show. */
const shown = 5;

function some(pgs: readonly string[]): string {
  const rest = pgs.length - shown;
  return pgs.slice(0, shown).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
