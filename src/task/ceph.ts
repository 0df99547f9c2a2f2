import type { CrushLocation, NodeTarget, OsdTarget } from './targets.ts';

/** Hold one OSD of the live OSD map, joined with its place in CRUSH. */
export interface OsdState {
  readonly id: number;
  readonly uuid: string;
  /** Host bucket it stands under; undefined for a stray OSD outside the tree. */
  readonly node: string | undefined;
  readonly isUp: boolean;
  readonly isIn: boolean;
  readonly isDestroyed: boolean;
  /** CRUSH weight (TiB by convention). */
  readonly weight: number;
  readonly deviceClass: string | undefined;
}

/** Hold one host bucket of the CRUSH tree. */
export interface NodeState {
  readonly name: string;
  readonly osdIds: readonly number[];
  readonly location: CrushLocation;
}

/** Hold what a pool demands. */
export interface PoolState {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly minSize: number;
  /** CRUSH rule that places its data. */
  readonly ruleId: number;
  readonly pgCount: number;
}

/** Hold one reading of the OSD map and CRUSH tree, taken in one breath (`osd dump` and `osd tree` of equal epoch). */
export interface OsdMap {
  readonly epoch: number;
  readonly fsid: string;
  readonly osds: readonly OsdState[];
  readonly nodes: readonly NodeState[];
  readonly pools: readonly PoolState[];
  /** Global flags such as `noout`, `norebalance`. */
  readonly flags: readonly string[];
  /** Share of a device, 0 to 1, above which Ceph refuses backfill onto it. */
  readonly backfillfullRatio: number;
}

/** Hold one raised health check. `subjects`: detail lines, as Ceph words them. */
export interface HealthCheck {
  readonly code: string;
  readonly severity: 'HEALTH_WARN' | 'HEALTH_ERR';
  readonly summary: string;
  readonly subjects: readonly string[];
  readonly isMuted: boolean;
}

/** Hold `ceph health detail`. */
export interface Health {
  readonly status: 'HEALTH_OK' | 'HEALTH_WARN' | 'HEALTH_ERR';
  readonly checks: readonly HealthCheck[];
}

/**
 * Hold `ceph status`: what moves and whether its numbers can be believed.
 * `remappedPgs` is of the OSD map and prompt; the PG states are statistics and lag behind it by a few seconds.
 */
export interface ClusterStatus {
  readonly epoch: number;
  readonly isMgrAvailable: boolean;
  readonly osdCount: number;
  readonly upOsdCount: number;
  readonly inOsdCount: number;
  readonly remappedPgs: number;
  readonly pgCount: number;
  /** Number of PGs by exact state, such as `active+clean+remapped`. */
  readonly pgStates: Readonly<Record<string, number>>;
  readonly objectCount: number;
  readonly misplacedObjects: number;
  readonly degradedObjects: number;
  readonly recoveringBytesPerSecond: number;
}

/** Hold one placement group: where its shards should be (`up`) and where they are (`acting`). */
export interface PlacementGroup {
  readonly id: string;
  readonly state: string;
  readonly up: readonly number[];
  readonly acting: readonly number[];
}

/** Hold the fill of one OSD's device. */
export interface OsdUsage {
  readonly id: number;
  readonly sizeBytes: number;
  readonly usedBytes: number;
  readonly pgCount: number;
}

/** Hold the answer of `osd safe-to-destroy`, each id in one list. An id in none is not safe. */
export interface SafeToDestroy {
  readonly safe: readonly number[];
  readonly hasPgs: readonly number[];
  readonly unknown: readonly number[];
}

/** Hold the answer of `osd ok-to-stop` for a set of OSDs. */
export interface OkToStop {
  readonly isOk: boolean;
  /** PGs that would stop serving. */
  readonly wouldBecomeInactive: readonly string[];
  /** PGs that lack copies already and would lose another. */
  readonly wouldBecomeMoreDegraded: readonly string[];
}

/** Hold one daemon other than an OSD. */
export interface Service {
  readonly kind: 'mon' | 'mgr' | 'mds' | 'rgw';
  readonly name: string;
  /** Absent where the daemon never told its host. */
  readonly node: string | undefined;
}

/**
 * Foretell what taking some OSDs out of the data's placement does, from a copy of the live map.
 * `method`: `osdmaptool` is exact; `proportional` is an estimate where the tool is absent and says so.
 */
export interface Projection {
  readonly method: 'osdmaptool' | 'proportional';
  readonly movedShards: number;
  readonly movedBytes: number;
  /** Highest fill, 0 to 1, that one of the remaining OSDs reaches. */
  readonly peakRatio: number;
  readonly peakOsd: string | undefined;
  /** Pools that would not find enough failure domains, in words for people. */
  readonly infeasiblePools: readonly {
    readonly pool: string;
    readonly needs: string;
    readonly left: string;
  }[];
}

/** Ask Ceph; nothing here changes the cluster. All of it throws CEPH_UNREACHABLE, CEPH_MGR_DOWN, CEPH_NOT_PERMITTED, CEPH_ANSWER_UNREADABLE. */
export interface CephReads {
  osdMap(): Promise<OsdMap>;
  health(): Promise<Health>;
  status(): Promise<ClusterStatus>;
  placementGroups(): Promise<readonly PlacementGroup[]>;
  usage(): Promise<readonly OsdUsage[]>;
  services(): Promise<readonly Service[]>;
  safeToDestroy(osds: readonly OsdTarget[]): Promise<SafeToDestroy>;
  okToStop(osds: readonly OsdTarget[]): Promise<OkToStop>;
  /** Project the removal of all data from these OSDs. */
  projectRemoval(osds: readonly OsdTarget[]): Promise<Projection>;
}

/** Ask and change Ceph. Each change throws CEPH_REFUSED where Ceph says no; success must still be read back. */
export interface Ceph extends CephReads {
  /** `osd crush reweight osd.N WEIGHT` (16.2: rc 2 where it does not exist). */
  reweight(osd: OsdTarget, weight: number): Promise<void>;
  /** `osd purge N`, never with the flag that is --force: Ceph's own atomic check stays on. */
  purge(osd: OsdTarget): Promise<void>;
  /** `osd crush rm NAME`; refused by Ceph (rc 39) while the bucket holds anything. */
  removeNode(node: Pick<NodeTarget, 'name'>): Promise<void>;
  /** `osd crush add-bucket NAME host` and `osd crush move` to the location (nearest ancestor first). */
  placeNode(name: string, location: CrushLocation): Promise<void>;
}
