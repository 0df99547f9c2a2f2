import type { Json, JsonObject } from '../base/json.ts';
import type { Health } from '../task/ceph.ts';
import type { Risk } from '../task/task.ts';

/**
 * Be a playbook compiled with its values against one cluster: an immutable graph. `hash` is the SHA-256, in hex, of the
 * canonical JSON of all fields but `hash` and `steps`, followed by the canonical JSON of each step in order, without
 * anything between. Steps stand in topological order; edges are indices into `steps`.
 */
export interface Plan {
  readonly version: 1;
  readonly hash: string;
  readonly playbook: string;
  readonly summary: string;
  /** Name of the cluster in the config, and the fsid that a worker compares before it touches anything. */
  readonly cluster: string;
  readonly fsid: string;
  /** What the run is about, for lists and titles: the node's name, say. */
  readonly target: string;
  readonly params: JsonObject;
  /** Locks that the run holds from start to end, all or none. */
  readonly locks: readonly PlanLock[];
  /** The run has so long in all; then it is paused and asks a person, or is aborted. */
  readonly deadline?: { readonly afterMs: number; readonly outcome: 'ask' | 'abort' };
  /** Anything that whoever started the run wants to find again in hooks, events and JSON; at most 4 KiB. */
  readonly payload?: Json;
  /** Hash of each task file used: a worker runs only the very same. */
  readonly tasks: Readonly<Record<string, string>>;
  readonly fingerprint: Fingerprint;
  readonly baseline: Health;
  readonly groups: readonly PlanGroup[];
  readonly steps: readonly PlanStep[];
}

/** Hold what the plan was decided on: identities and topology, never epochs or statistics. */
export interface Fingerprint {
  readonly fsid: string;
  /** `osd.3=uuid@node` of every target, sorted. */
  readonly targets: readonly string[];
  /** SHA-256 over the host buckets, their locations and OSD ids. */
  readonly crush: string;
  /** `pool:size:rule` facts the refusals were judged on, sorted. */
  readonly pools: readonly string[];
}

/**
 * Name a lock or a semaphore that runs share: `cluster/ceph`, `node/ceph-osd-07`, `osd/UUID`, `rack/r12`. At most
 * `capacity` holders at once, each of which counts one; 1 is a lock. In a step of an expansion the name is still a text
 * in which `${…}` holds expressions over its variable.
 */
export interface PlanLock {
  readonly name: string;
  readonly capacity: number;
}

/** Limit how many members of a group are begun and not finished. Members are numbered from 0. */
export interface PlanGroup {
  readonly id: string;
  readonly maxParallel: number;
  /** Number of steps of each member: a place is given back when all of them are ended. */
  readonly memberSizes: readonly number[];
}

/**
 * Be one vertex of the graph. `barrier` joins a group with what follows; `release` gives back what a hold took;
 * `expand` appends steps that only an earlier step's output tells; `undo` takes another step's act back.
 */
export interface PlanStep {
  /** Unique in the plan, readable: `osd.stop@osd.4`, `silence`. */
  readonly id: string;
  readonly kind: 'task' | 'barrier' | 'release' | 'expand' | 'undo';
  /** Name of the task (kinds task, release and undo). */
  readonly task?: string;
  readonly risk: Risk;
  /** One sentence for people: what this step does with these values. */
  readonly title: string;
  /** Values by parameter; those that name another step's output are `{ "$expression": "steps.find.output.device" }`. */
  readonly with: JsonObject;
  /** Indices of the steps that must have ended well before this one starts; all smaller than its own. */
  readonly after: readonly number[];
  /** `finally` steps start when all of `main` has ended, whatever the outcome. */
  readonly part: 'main' | 'finally';
  /** Places this step needs: group index and member number. */
  readonly places: readonly { readonly group: number; readonly member: number }[];
  /** For kind release: index of the step whose hold it releases. */
  readonly releases?: number;
  /** CEL condition on outputs, asked when the step is ready; false: skipped. */
  readonly when?: string;
  readonly timeout?: { readonly afterMs: number; readonly outcome: 'ask' | 'fail' };
  readonly pollMs?: number;
  readonly delayMs?: number;
  readonly retry?: StepRetry;
  /** For kind undo: index of the step whose act is taken back. */
  readonly undoes?: number;
  /** For kind expand: what it appends, with the list that is known only when it is ready. */
  readonly expansion?: StepExpansion;
  /** Longest time one attempt's act may take; else the task's own limit. */
  readonly limitMs?: number;
  /** Workers that serve this queue carry it out; absent: those that serve the cluster's usual one. */
  readonly queue?: string;
  /** From -100 to 100: among what is ready, the higher goes first. Absent: 0. */
  readonly priority?: number;
  /** At most `most` acts in `perMs` among all steps of all runs that name the same rate. */
  readonly rate?: { readonly name: string; readonly most: number; readonly perMs: number };
  /** Held from before its act until it has ended, all or none, beside the locks of its run. */
  readonly locks?: readonly PlanLock[];
  /** Names of users who may approve or reject; absent: everybody. */
  readonly approvers?: readonly string[];
  /** Numbers of the steps whose outputs it uses, by their ids; the store fills it in. */
  readonly inputs?: Readonly<Record<string, number>>;
  /** As the run's payload, for this step. */
  readonly payload?: Json;
}

/** Say how a failed act is tried again. */
export interface StepRetry {
  readonly attempts: number;
  readonly delayMs: number;
  /** Pauses double up to this. Absent: ten minutes. */
  readonly longestDelayMs?: number;
  /** Codes of errors that are tried again; absent: those whose disposition is to retry. */
  readonly on?: readonly string[];
}

/**
 * Say what an expand step appends: for each value of a list its members, side by side; whatever comes after the expand
 * step comes after them.
 */
export interface StepExpansion {
  /** A late value that becomes a list. */
  readonly over: LateValue;
  readonly variable: string;
  /** More members than this are an error: what was approved had a size. */
  readonly atMost: number;
  readonly maxParallel?: number;
  /** The chain of one member: values name the variable in late expressions; `after` are indices into this list. */
  readonly steps: readonly PlanStep[];
  /** Limited groups inside one member: places of `steps` are indices into this list. Absent: none. */
  readonly groups?: readonly PlanGroup[];
}

/** Mark a value that is filled in when the step is ready. */
export interface LateValue {
  readonly $expression: string;
}

/** Tell whether a value of a step is filled in only when the step is ready. */
export function isLateValue(value: Json): value is JsonObject & LateValue {
  return typeof value === 'object' && value !== null && '$expression' in value;
}
