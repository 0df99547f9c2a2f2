/**
 * Identify one OSD beyond its reusable id. A plan freezes it; every act compares it with the live map.
 * `weight`: CRUSH weight when the plan was made (TiB by convention).
 */
export type OsdTarget = {
  readonly id: number;
  /** `osd.N` */
  readonly name: string;
  readonly uuid: string;
  /** Host as CRUSH names it. */
  readonly node: string;
  readonly weight: number;
  readonly device_class?: string;
  readonly serial?: string;
};

/** Place a host in the CRUSH tree: its ancestors from the nearest up, such as rack r1, root default. */
export type CrushLocation = readonly { readonly type: string; readonly name: string }[];

/** Identify a host with all OSDs it had when the plan was made. */
export type NodeTarget = {
  readonly name: string;
  readonly osds: readonly OsdTarget[];
  readonly location: CrushLocation;
};

/** Name who is told; the addresses stay in the config of the worker. */
export type ContactTarget = { readonly contact: string };
