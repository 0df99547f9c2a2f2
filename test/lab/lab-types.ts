import type { Silence } from './alertmanager.ts';
import type { AuditedCommand } from './audit.ts';
import type { ClusterActs } from './cluster-acts.ts';
import type { OsdHistory } from './history.ts';
import type { Said } from './keeper.ts';
import type { LabMail } from './mail.ts';
import type { LabNode } from './node.ts';
import type { ObjectCheck, ObjectLoad } from './objects.ts';

/** How a lab is made; all have a default. */
export interface LabOptions {
  /** Nodes with OSDs; default 4, named ceph-osd-01 and so on. */
  readonly nodes?: number;
  readonly osdsPerNode?: number;
  /** Empty nodes (sshd and devices, no OSD), named on from the last one; default 0. */
  readonly spareNodes?: number;
  /** Sleep of a recovery operation; default 0, as fast as it goes. 0.2 lets the drain of two OSDs last a minute. */
  readonly recoverySleepSeconds?: number;
  /** Put every node into a rack of its own, rack-01 and so on, and let the pool spread over racks. */
  readonly racks?: boolean;
  /** Run the monitor and the manager with the hostname of a node, as where they live on one. */
  readonly monOn?: string;
  readonly mail?: boolean;
  readonly alertmanager?: boolean;
  /** YAML put at the end of cephflow's config. */
  readonly extraConfig?: string;
  /** Leave the directory when the lab ends. */
  readonly keepDirectory?: boolean;
}

/** A running lab. It ends with `stop`, and also when this process dies in any way. */
export interface Lab extends ClusterActs {
  readonly dir: string;
  readonly conf: string;
  readonly keyring: string;
  readonly readOnlyKeyring: string;
  readonly fsid: string;
  /** Nodes that are there now, by name. */
  readonly nodes: ReadonlyMap<string, LabNode>;
  /** Config of cephflow for this lab: cluster `lab`. */
  readonly configFile: string;
  readonly ssh: { readonly port: number; readonly key: string; readonly knownHosts: string };
  /** Pid of the first process inside; when it is gone, everything is. */
  readonly pid: number;
  readonly alertmanagerUrl: string;
  /** Run a shell line over ssh as an operator would, host key checked. */
  sshTo(node: string, command: string): Promise<Said>;
  /** Bring a new empty node; where one of that name is still there, it is unplugged first. A new host key, the same address. */
  addNode(name: string, options?: { devices?: number; knownHost?: boolean }): Promise<LabNode>;
  /** Unplug a node: everything on it is killed. Its directory stays. */
  stopNode(name: string): Promise<void>;
  /** Unplug a node and throw its directory, with the devices, away. */
  removeNode(name: string): Promise<void>;
  /** Let a node fall silent (all its processes stopped): as a cut cable looks from outside. */
  cutOff(name: string): Promise<void>;
  rejoin(name: string): Promise<void>;
  loadObjects(load: ObjectLoad): Promise<void>;
  verifyObjects(): Promise<ObjectCheck>;
  /** Text of the cluster's log with the monitor's audit lines. */
  monLog(): Promise<string>;
  /** Commands that the monitor finished up to now, oldest first; needs a monitor that answers. */
  audit(): Promise<AuditedCommand[]>;
  /** What happened to each OSD, by uuid, in all epochs of the OSD map: boots, downs, removals. */
  osdHistory(): Promise<ReadonlyMap<string, OsdHistory>>;
  mails(): Promise<LabMail[]>;
  silences(): Promise<Silence[]>;
  stop(): Promise<void>;
}
