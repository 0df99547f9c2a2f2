import { CephflowError } from '../base/errors.ts';
import { describeInstance } from '../engine/guard.ts';
import type { InstanceRecord, Marked, MarkerActs } from '../task/markers.ts';
import type { Wire } from './parts.ts';

/** Longest that all commands for the markers of one cluster may take together. */
const markersMs = 60_000;

/** Reach the markers of a cluster, to change them. @throws CLUSTER_UNKNOWN */
export async function openMarkers(wire: Wire, cluster: string): Promise<MarkerActs> {
  return (await wire.systems(cluster)).markers(AbortSignal.timeout(markersMs));
}

/** Tell whether a record names this instance. */
export function isOurs(marked: Marked<InstanceRecord> | undefined, own: string | undefined): boolean {
  return marked !== undefined && 'value' in marked && marked.value.instance === own;
}

/**
 * Take our name out of a cluster, so that another instance may act on it.
 * @returns whether it stood there
 * @throws CLUSTER_TAKEN where it names another instance; what CephReads throws
 */
export async function releaseCluster(wire: Wire, cluster: string, own: string): Promise<boolean> {
  const markers = await openMarkers(wire, cluster);
  const { instance } = await markers.get();
  if (!instance) return false;
  if (!isOurs(instance, own)) throw takenByOther(cluster, instance, 'only that one releases it');
  await markers.removeInstance();
  return true;
}

/** Say that a cluster belongs to another instance. */
export function takenByOther(cluster: string, marked: Marked<InstanceRecord>, what: string): CephflowError {
  const said = `${cluster} is acted on by ${describeInstance(marked)}: ${what}`;
  return new CephflowError('CLUSTER_TAKEN', said, {
    hint: `look there for unfinished runs; to take over, type: cephflow instance take --cluster ${cluster}`,
  });
}
