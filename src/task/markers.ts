/** Hold the record in a cluster that names the cephflow (all workers on one store) which acts on it. */
export interface InstanceRecord {
  /** Id of the store that its runs live in. */
  readonly instance: string;
  /** Machine that wrote the record. */
  readonly host: string;
  /** Address of its Redis without any password, or `embedded`. */
  readonly redis: string;
  /** Folder of the embedded Redis on that machine. */
  readonly stateDir?: string | undefined;
  /** Since when, ISO 8601. */
  readonly since: string;
  /** Version of cephflow. */
  readonly version: string;
  /** Where a person gave the cluster to it: who, why, and from which instance. */
  readonly taken?: { readonly by: string; readonly reason: string; readonly from: string } | undefined;
}

/** Say who acts: what a worker writes into a cluster that nobody acts on yet. */
export type InstanceFacts = Omit<InstanceRecord, 'since' | 'taken'>;

/** Hold the big red button: while it is in a cluster, cephflow acts on nothing there. `at`: ISO 8601. */
export interface FreezeMarker {
  readonly by: string;
  readonly host: string;
  readonly at: string;
  readonly reason: string;
}

/** Be a marker that is there. One that cannot be read counts as set, by somebody else; `sample` is how it begins. */
export type Marked<T> = { readonly value: T } | { readonly unreadable: string };

/** Hold one reading of both markers of a cluster; absent: it is not there, which the monitors said. */
export interface Markers {
  readonly instance?: Marked<InstanceRecord>;
  readonly freeze?: Marked<FreezeMarker>;
}

/** Ask a cluster for its markers. @throws what CephReads throws; CEPH_NOT_PERMITTED says which capability to grant */
export interface MarkerReads {
  get(): Promise<Markers>;
}

/** Ask a cluster for its markers and change them. There is no compare-and-set: what was written must be read back. */
export interface MarkerActs extends MarkerReads {
  setInstance(record: InstanceRecord): Promise<void>;
  /** Succeeds also where there is none. */
  removeInstance(): Promise<void>;
  setFreeze(marker: FreezeMarker): Promise<void>;
  /** Succeeds also where there is none. */
  removeFreeze(): Promise<void>;
}
