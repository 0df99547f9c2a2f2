import { CephflowError } from '../base/errors.ts';
import type { OsdMap, OsdState } from './ceph.ts';
import type { OsdTarget } from './targets.ts';

/**
 * Find the very OSD that the plan froze.
 * @returns its live state, or undefined when that uuid is gone from the map (whoever now has the id)
 */
export function findOsd(map: OsdMap, target: OsdTarget): OsdState | undefined {
  return map.osds.find((osd) => osd.uuid === target.uuid);
}

/**
 * Demand the very OSD that the plan froze: same id, same uuid, same host.
 * Ceph's own checks call an OSD that does not exist safe (research ceph-field 1.2), so this is ours.
 * @throws OSD_IDENTITY when it is gone, its id belongs to another, or it moved to another host
 */
export function requireOsd(map: OsdMap, target: OsdTarget): OsdState {
  const live = map.osds.find((osd) => osd.id === target.id);
  const stop = (what: string) =>
    new CephflowError('OSD_IDENTITY', `${target.name} is not the OSD this plan was made for: ${what}`, {
      hint: 'nothing was changed; look at `ceph osd tree`, and make a new plan if this is expected',
    });
  if (!live) throw stop(`no OSD has id ${target.id} any more (planned uuid ${target.uuid})`);
  if (live.uuid !== target.uuid) throw stop(`uuid is ${live.uuid}, planned ${target.uuid}`);
  if (live.node !== target.node) throw stop(`it stands on ${live.node ?? 'no host'}, planned ${target.node}`);
  return live;
}

/** CRUSH weights are 16.16 fixed point; two that differ by less than this are the same weight. */
const weightStep = 1 / 65_536;

/** Tell whether two CRUSH weights are equal as Ceph stores them. */
export function isSameWeight(a: number, b: number): boolean {
  return Math.abs(a - b) < weightStep * 1.5;
}
