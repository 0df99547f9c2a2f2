import { formatBytes } from '../base/bytes.ts';
import type { CephReads, OsdMap } from './ceph.ts';
import type { NodeTarget, OsdTarget } from './targets.ts';
import type { Outlook } from './task.ts';

/** Stay this far below backfillfull: the projection knows nothing of what clients will write meanwhile. */
const fillMargin = 0.03;

/**
 * Foretell the removal of all data from these OSDs: why it cannot go elsewhere (too few failure domains left, or an OSD
 * filled too far), and what will move.
 * @returns refusals and effects, each a sentence for people; no refusals means there is room
 */
export async function drainOutlook(ceph: CephReads, osds: readonly OsdTarget[]): Promise<Outlook> {
  const [map, projection] = await Promise.all([ceph.osdMap(), ceph.projectRemoval(osds)]);
  const { peakOsd = 'an OSD', peakRatio, movedShards, method } = projection;
  const how = method === 'osdmaptool' ? '' : ' (an estimate: osdmaptool cannot be used here)';
  const filled = `${percent(peakRatio)}${how}`;
  const limit = `${percent(map.backfillfullRatio)} (backfillfull), less a margin of ${percent(fillMargin)}`;
  const moved = formatBytes(projection.movedBytes);
  const refusals = projection.infeasiblePools.map(
    ({ pool, needs, left }) => `pool ${pool} needs ${needs}, and only ${left} would be left`,
  );
  if (peakRatio > map.backfillfullRatio - fillMargin) {
    refusals.push(
      `${peakOsd} would be filled to ${filled}, and the limit is ${limit}; ${moved} have to move`,
    );
  }
  return {
    refusals,
    effects: [`${moved} in ${movedShards} shards move; ${peakOsd}, then the fullest, is filled to ${filled}`],
  };
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
