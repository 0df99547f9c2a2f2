import type { Json } from '../base/json.ts';
import type { Ceph, CephReads, Health } from './ceph.ts';
import type { ContactTarget, OsdTarget } from './targets.ts';

/** Describe one block device of a node, as `ceph-volume inventory` lists it. */
export interface Device {
  readonly path: string;
  readonly sizeBytes: number;
  readonly isAvailable: boolean;
  readonly rejectedReasons: readonly string[];
  readonly serial?: string;
  readonly isRotational?: boolean;
}

/** Describe an OSD that was prepared on a device, as `ceph-volume lvm list` tells. */
export interface PreparedOsd {
  readonly id: number;
  readonly uuid: string;
  readonly device: string;
}

/** Ask a machine of the cluster. Throws SSH_UNREACHABLE, SSH_REFUSED, SSH_HOST_KEY, COMMAND_FAILED, COMMAND_TIMED_OUT. */
export interface MachineReads {
  /** The machine's own name; proof that it is there and lets us in. */
  hostname(): Promise<string>;
  devices(): Promise<readonly Device[]>;
  preparedOsds(): Promise<readonly PreparedOsd[]>;
  /** Whether the process manager says that the daemon of this OSD runs. */
  isOsdRunning(id: number): Promise<boolean>;
}

/** Ask and change a machine. */
export interface Machine extends MachineReads {
  startOsd(id: number): Promise<void>;
  /** Stop the daemon and keep it from coming back at boot. */
  stopOsd(id: number): Promise<void>;
  /** Make and start one OSD on a device that holds none. Returns nothing: read it back. */
  createOsd(device: string): Promise<void>;
}

/** Describe a downtime in a monitoring system. `key` finds it again after a crash. */
export interface Downtime {
  readonly key: string;
  readonly node: string;
  readonly comment: string;
  readonly startsAt: Date;
  readonly endsAt: Date;
}

/** Be a downtime of ours as the monitoring system has it. `lapsed`: its time ran out; `ended`: somebody cut it short. */
export interface DowntimeFound {
  readonly id: string;
  readonly endsAt: Date;
  readonly state: 'active' | 'lapsed' | 'ended';
}

/** Ask a monitoring system. Throws MONITORING_FAILED, NOT_CONFIGURED. */
export interface MonitoringReads {
  /** Find our downtimes with this key, over or not. */
  downtimes(key: string): Promise<readonly DowntimeFound[]>;
}

/** Ask and change a monitoring system. */
export interface Monitoring extends MonitoringReads {
  /** Open the downtime, or move the end of the one with the same key: never a second one. */
  setDowntime(downtime: Downtime): Promise<void>;
  /** End all downtimes with this key; none is fine. */
  endDowntime(key: string): Promise<void>;
}

/** Say something to people. `key` becomes the Message-ID and the webhook's Idempotency-Key, so that a repeat is recognised. */
export interface Message {
  readonly key: string;
  readonly subject: string;
  readonly text: string;
}

/** Reach people: mail and webhook of a contact. Throws NOTIFICATION_FAILED, NOT_CONFIGURED. */
export interface People {
  /** Send to every address that the contact has; returns the channels that took it, such as `mail`. */
  tell(contact: ContactTarget, message: Message): Promise<readonly string[]>;
}

/** Record what a person decided about a step that asked. */
export interface Decision {
  readonly verdict: 'approved' | 'rejected';
  readonly by: string;
  readonly comment: string;
  /** Milliseconds since the epoch, by Redis' clock. */
  readonly atMs: number;
}

/** Tell a task where it stands. `key` is stable over retries and crashes: use it wherever a second try must be recognised. */
export interface StepFacts {
  readonly run: string;
  readonly id: string;
  readonly key: string;
  readonly cluster: string;
  /** Who started the run. */
  readonly by: string;
  /** Health when the plan was made; gates compare with it. */
  readonly baseline: Health;
  /** What the playbook says with this step for hooks and tasks; absent where it says nothing. */
  readonly payload?: Json;
  /** The same of the run, said by whoever started it. */
  readonly runPayload?: Json;
}

/** What `done`, `blockers`, `remember` and `outlook` may use: nothing that changes anything. */
export interface ReadContext {
  readonly ceph: CephReads;
  machine(node: string): MachineReads;
  readonly monitoring: MonitoringReads;
  readonly step: StepFacts;
  /** The person's answer, where the step asked for one. */
  readonly decision: Decision | undefined;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** What `run`, `undo` and a hold may use. `remembered` is what `remember` said before the first act. */
export interface ActContext<M extends Json = Json> {
  readonly ceph: Ceph;
  machine(node: string): Machine;
  readonly monitoring: Monitoring;
  readonly people: People;
  readonly step: StepFacts;
  readonly decision: Decision | undefined;
  readonly nowMs: number;
  readonly signal: AbortSignal;
  readonly remembered: M | undefined;
  /** Write a line to the step's log. */
  log(line: string): void;
}

/** Whatever acts on several OSDs at once is asked about as one set. */
export type OsdSet = readonly OsdTarget[];
