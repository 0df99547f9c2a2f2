import { formatBytes } from '../base/bytes.ts';
import type { CephReads, OsdMap } from './ceph.ts';
import type { NodeTarget, OsdTarget } from './targets.ts';

/** Stay this far below backfillfull: the projection knows nothing of what clients will write meanwhile. */
const fillMargin = 0.03;

/**
 * List why the data of these OSDs cannot go elsewhere: too few failure domains left, or an OSD filled too far.
 * @returns sentences for people; [] means there is room
 */
export async function drainObstacles(
  ceph: CephReads,
  osds: readonly OsdTarget[],
): Promise<readonly string[]> {
  const [map, projection] = await Promise.all([ceph.osdMap(), ceph.projectRemoval(osds)]);
  const reasons = projection.infeasiblePools.map(
    ({ pool, needs, left }) => `pool ${pool} needs ${needs}, and only ${left} would be left`,
  );
  if (projection.peakRatio > map.backfillfullRatio - fillMargin) {
    const peak = percent(projection.peakRatio);
    const limit = `${percent(map.backfillfullRatio)} (backfillfull), less a margin of ${percent(fillMargin)}`;
    const how = projection.method === 'osdmaptool' ? '' : ' by estimate';
    reasons.push(
      `${projection.peakOsd ?? 'an OSD'} would be filled to ${peak}${how}, and the limit is ${limit}; ` +
        `${formatBytes(projection.movedBytes)} have to move`,
    );
  }
  return reasons;
}

/** Flags of the OSD map under which data does not move: a drain would wait for ever. */
const stoppingFlags: readonly string[] = ['norebalance', 'nobackfill', 'norecover', 'pause'];

/** List the flags, set by somebody, that keep data from moving. */
export function movementStops(map: OsdMap): readonly string[] {
  return map.flags
    .filter((flag) => stoppingFlags.includes(flag))
    .map((flag) => `flag ${flag} is set, so no data moves (ceph osd unset ${flag})`);
}

/** List the daemons other than OSDs that a node carries, and that would go down with it. */
export async function otherDaemons(ceph: CephReads, node: NodeTarget): Promise<readonly string[]> {
  const services = await ceph.services();
  return services.flatMap(({ kind, name, node: host }) => {
    if (host === undefined) return [`${kind}.${name} does not tell its host: it may be on ${node.name}`];
    if (shortName(host) !== shortName(node.name)) return [];
    return [`${node.name} also carries ${kind}.${name}: move it to another node first`];
  });
}

/** CRUSH may know a host by its short name and a daemon by its full one. */
const shortName = (name: string) => name.split('.')[0];

const percent = (ratio: number) => `${(ratio * 100).toFixed(1)} %`;
