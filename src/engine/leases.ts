import type { ErrorCode } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Plan, PlanLock, PlanStep } from '../plan/plan.ts';
import type { Waiting } from '../run/events.ts';
import type { RunState } from '../run/states.ts';
import type { Decision } from '../task/context.ts';

/** Name a step of a run: `step` is its index in the plan. */
export interface StepRef {
  readonly run: string;
  readonly step: number;
}

/** Name what a worker holds: a step with the token of its lease. Every write of a worker carries it. */
export interface Held extends StepRef {
  readonly token: string;
}

/** Keep an error of a step as data: what a CephflowError carries. */
export interface StepError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  /** The whole text for people, with command, host and stderr. */
  readonly detail?: string;
}

/** Ask for a step's lease. */
export interface ClaimRequest extends StepRef {
  readonly delivery: number;
  /** Name of the worker, for people: host and pid. */
  readonly worker: string;
  readonly leaseMs: number;
  /** Claim so many more steps of the same run that are ready; absent: none. */
  readonly more?: number;
}

/**
 * Say what a worker may do with the step it claimed.
 * `act`: the act has not begun. `read-back`: it was done (see `acted`), only ask whether it took effect.
 * `verify`: it was begun and nobody knows how it ended; find out, then `complete`, or `verified` to say it did not happen.
 */
export type Mode = 'act' | 'verify' | 'read-back';

/** Hold a claimed step: everything the engine remembers of it. Times are milliseconds since the epoch by Redis' clock. */
export interface Grant extends Held {
  readonly delivery: number;
  readonly mode: Mode;
  /** Counts from 1: automatic and manual retries, and leases lost before the act. */
  readonly attempt: number;
  /** Automatic retries since the start or since a person last retried: compare with the step's `retry.attempts`. */
  readonly retries: number;
  /** When the step was claimed for the first time (after a person's retry: since then). Time limits count from here. */
  readonly begunMs: number;
  readonly nowMs: number;
  /** First answer of `remember`; absent while it was not asked. */
  readonly remembered?: Json;
  /** What the last `observe` wrote: settle and stall counters, last progress. */
  readonly observed?: Json;
  readonly decision?: Decision;
  /** What `run` returned, in mode read-back. */
  readonly output?: Json;
  /** The act has begun at least once; also when it ended badly. */
  readonly hasBegun: boolean;
}

/**
 * Answer a claim. `stale`: another delivery is the valid one, or the step is not to be done now. `done`: ended already.
 * `ended`: the run is over. `no-place`: max-parallel; the step now waits and is made ready when a place is given back.
 * `halted`: the run is paused or the cluster frozen; the step is sent anew when that is over.
 * Whatever is not `granted`: drop the delivery, nothing is to be done.
 */
export type ClaimAnswer =
  | { readonly kind: 'granted'; readonly grant: Grant; readonly more: readonly Grant[] }
  | { readonly kind: 'stale' | 'done' | 'ended' | 'no-place' | 'halted' };

/** Tell whether a write was accepted. `lost`: the lease is no longer this worker's; stop at once. */
export type Written = 'accepted' | 'lost';

/** Say why an act must not begin now. */
export type Halt = 'aborting' | 'undoing' | 'paused' | 'planned' | 'frozen';

/** Report the end of a step. */
export interface Outcome {
  readonly state: 'succeeded' | 'failed' | 'skipped';
  /** False: `done` said true before anything was done. */
  readonly acted: boolean;
  readonly output?: Json;
  readonly error?: StepError;
  /** Why it was skipped, for people. */
  readonly reason?: string;
  /** With `failed`: the act may have happened. A later retry starts in mode verify, and the act lock stays. Default false. */
  readonly mayHaveActed?: boolean;
  /** Claim in the same round trip a step of the same run that is ready: a successor first. */
  readonly next?: NextClaim;
  /** For kind undo: the step that was taken back. */
  readonly undone?: number;
}

/**
 * Ask for so many more steps of the same run, a successor first. While other runs wait for a worker there is one at most,
 * and none unless `isPatient`.
 */
interface NextClaim {
  readonly worker: string;
  readonly leaseMs: number;
  readonly count: number;
  readonly isPatient: boolean;
}

/** Tell what the end of a step brought about. `ready` > 0: steps stand in the outbox; dispatch the run. */
export interface Completed {
  readonly kind: 'accepted' | 'duplicate' | 'lost';
  readonly ready: number;
  readonly runState: RunState;
  /** The steps claimed by `next`. */
  readonly next: readonly Grant[];
}

/** Give up the slot, not the step: asked again at `untilMs`, or (null) only when a person or a release wakes it. */
export interface Parking {
  readonly untilMs: number | null;
  readonly waiting: Omit<Waiting, 'sinceMs' | 'nextAskMs'>;
  /** Settle and stall counters, kept for the next claim. */
  readonly observed?: Json;
}

/** Show something that a run holds and renews. */
export interface HoldView {
  readonly step: number;
  readonly expiresMs: number;
  readonly renewMs: number;
}

/** Tell whether locks were taken; else which one is not free, and who holds it (a run, or a step of one). */
export type LockAnswer =
  | { readonly held: true }
  | {
      readonly held: false;
      readonly name?: string;
      readonly holder?: { readonly run: string; readonly step?: number };
    };

/** Be steps to append to a run: numbered over the whole run from `first` on, with a hash as a plan has. */
export interface Growth extends Pick<Plan, 'hash' | 'groups' | 'steps'> {
  readonly first: number;
  /** Number of groups that the run had before. */
  readonly groupsFrom: number;
  /** Numbers of steps of the run that these may name, beside their own. */
  readonly known: Readonly<Record<string, number>>;
}

/** What the workers call: the life of a step. All idempotent; a connection lost in between may repeat them. */
export interface StoreSteps {
  /** Take a step's lease for a delivery. */
  claim(request: ClaimRequest): Promise<ClaimAnswer>;
  /**
   * Write down that the act begins, immediately before `run`. `undoes`: the step that it takes back.
   * @returns why not, when nothing may begin in this run now: do not act, park or complete as skipped
   */
  acting(held: Held, undoes?: number): Promise<Written | Halt>;
  /** Write down that `run` returned, with its output: after a crash only its effect is asked about. */
  acted(held: Held, output?: Json): Promise<Written>;
  /** In mode verify: the act did not happen and may begin anew, in this same claim. */
  verified(held: Held): Promise<Written>;
  /** Keep the lease for another `leaseMs`. On `lost`, abort the act. */
  renewLease(held: Held, leaseMs: number): Promise<Written>;
  /** Save what `remember` said; the first answer stays for ever and is what comes back. */
  remember(held: Held, value: Json): Promise<Json | 'lost'>;
  /**
   * Keep an observation while holding the step (park carries one itself). `decisionTaken`: forget the decision that the
   * grant carried; the next question may then be answered anew.
   */
  observe(held: Held, value: Json, options?: { readonly decisionTaken?: boolean }): Promise<Written>;
  /** Write a line to the run's events. */
  log(held: Held, text: string): Promise<void>;
  /** End the step. Successors that have nothing left to wait for become ready in the same script. */
  complete(held: Held, outcome: Outcome): Promise<Completed>;
  /** Let the step wait. In a run that is being aborted it is cancelled, unless its act may have begun. */
  park(held: Held, parking: Parking): Promise<Written>;
  /** Try again after `delayMs`: the next attempt. `mayHaveActed` as in Outcome. */
  retryLater(
    held: Held,
    retry: { readonly delayMs: number; readonly error: StepError; readonly mayHaveActed?: boolean },
  ): Promise<Written>;
  /** Record a hold of this step: renewed from `renewMs` on (an absolute time), over at `expiresMs`. */
  recordHold(held: Held, hold: Omit<HoldView, 'step'>): Promise<Written>;
  /** Say that a renewal delivery was carried out. False: the hold is released or the run over; nothing is to be kept. */
  holdRenewed(step: StepRef, hold: Omit<HoldView, 'step'>): Promise<boolean>;
  /** Forget a hold: it was released. (Completing a `release` step does so by itself.) */
  holdReleased(step: StepRef): Promise<void>;
  /**
   * Take the one lock of a cluster for acts that stop or destroy. Ends by itself with complete, with failing and
   * retrying unless `mayHaveActed`, and with park unless the act has begun: then it stays until the effect was read back.
   * Not held: the step is a waiter now; park it with a short `untilMs`, release wakes it earlier.
   */
  takeActLock(
    held: Held,
    fsid: string,
  ): Promise<{ readonly held: true } | { readonly held: false; readonly holder?: StepRef }>;
  /** Give the act lock back before the step ends; normally not needed. */
  releaseActLock(held: Held, fsid: string): Promise<void>;
  /**
   * Take the locks that a step needs by itself, all or none; they stay until it has ended. Not held: the step is a
   * waiter now, as for the act lock.
   */
  takeLocks(held: Held, locks: readonly PlanLock[]): Promise<LockAnswer>;
  /** Ask for leave to act under a rate. @returns 0, or how many milliseconds to wait */
  askRate(held: Held, rate: NonNullable<PlanStep['rate']>): Promise<number | 'lost'>;
  /**
   * Append steps to the run and end this one, in one script. The last of them, a barrier, stands for what comes after.
   * `moved`: the run has grown meanwhile; number the steps anew from `size`.
   */
  expand(held: Held, growth: Growth, output?: Json): Promise<Written | 'moved'>;
  /** Number of steps that the run has now, and the groups of its plan and of what was appended. */
  extent(run: string): Promise<{ readonly size: number; readonly groups: number }>;
  /**
   * Make sure that what was written survives a power cut and a failover, before an act that destroys.
   * @returns which process of Redis promised it (its run_id: another one may have lost what was not confirmed); false
   * where this Redis cannot promise it: then refuse
   */
  confirmDurable(): Promise<string | false>;
}
