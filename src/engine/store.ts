import type { ErrorCode } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent, Waiting } from '../run/events.ts';
import type { RunState, StepState } from '../run/states.ts';
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

/** Say who acts, and why. `request` makes an act idempotent: a repeat with the same id changes nothing more. */
export interface Actor {
  readonly by: string;
  readonly reason?: string;
  readonly request?: string;
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
interface ClaimRequest extends StepRef {
  readonly delivery: number;
  /** Name of the worker, for people: host and pid. */
  readonly worker: string;
  readonly leaseMs: number;
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
  /** When the act last began; present also when it ended badly. */
  readonly actedMs?: number;
}

/**
 * Answer a claim. `stale`: another delivery is the valid one, or the step is not to be done now. `done`: ended already.
 * `ended`: the run is over. `no-place`: max-parallel; the step now waits and is made ready when a place is given back.
 * Whatever is not `granted`: drop the delivery, nothing is to be done.
 */
export type ClaimAnswer =
  | { readonly kind: 'granted'; readonly grant: Grant }
  | { readonly kind: 'stale' | 'done' | 'ended' | 'no-place' };

/** Tell whether a write was accepted. `lost`: the lease is no longer this worker's; stop at once. */
export type Written = 'accepted' | 'lost';

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
  readonly next?: { readonly worker: string; readonly leaseMs: number };
}

/** Tell what the end of a step brought about. `ready` > 0: steps stand in the outbox; dispatch the run. */
export interface Completed {
  readonly kind: 'accepted' | 'duplicate' | 'lost';
  readonly ready: number;
  readonly runState: RunState;
  /** The step claimed by `next`, where there was one. */
  readonly next?: Grant;
}

/** Give up the slot, not the step: asked again at `untilMs`, or (null) only when a person or a release wakes it. */
export interface Parking {
  readonly untilMs: number | null;
  readonly waiting: Omit<Waiting, 'sinceMs' | 'nextAskMs'>;
  /** Settle and stall counters, kept for the next claim. */
  readonly observed?: Json;
}

/** Show one step that is not just pending. */
export interface StepView {
  readonly step: number;
  readonly state: StepState;
  readonly attempt: number;
  readonly begunMs?: number;
  readonly endedMs?: number;
  readonly worker?: string;
  /** The act was begun and its end is not known. */
  readonly isActing?: boolean;
  readonly acted?: boolean;
  readonly waiting?: Waiting;
  readonly output?: Json;
  readonly error?: StepError;
  readonly decision?: Decision;
}

/** Show something that a run holds and renews. */
export interface HoldView {
  readonly step: number;
  readonly expiresMs: number;
  readonly renewMs: number;
}

/** Describe a run for lists. */
export interface RunHead {
  readonly run: string;
  readonly state: RunState;
  readonly playbook: string;
  readonly summary: string;
  readonly cluster: string;
  readonly target: string;
  readonly by: string;
  readonly reason?: string;
  readonly planHash: string;
  readonly createdMs: number;
  readonly endedMs?: number;
  readonly steps: number;
  /** Steps by state; states without steps are absent. */
  readonly counts: Readonly<Partial<Record<StepState, number>>>;
}

/** Show a whole run at one moment. `states[i]` is the state of step i; `views` hold more about those that were touched. */
export interface RunSnapshot extends RunHead {
  readonly nowMs: number;
  readonly states: readonly StepState[];
  readonly views: readonly StepView[];
  readonly holds: readonly HoldView[];
  /** Read events after this to follow from here without a gap. */
  readonly lastSeq: string;
}

/** Record an act of a person. */
export interface AuditEntry {
  readonly atMs: number;
  readonly act: string;
  readonly by: string;
  readonly reason?: string;
  readonly step?: number;
}

/** Be a delivery to be put into a queue. `renew`: not the step itself is asked for, but the renewal of its hold. */
export interface Delivery extends StepRef {
  readonly delivery: number;
  readonly renew?: true;
}

/** What the workers call: the life of a step. All idempotent; a connection lost in between may repeat them. */
export interface StoreSteps {
  /** Take a step's lease for a delivery. */
  claim(request: ClaimRequest): Promise<ClaimAnswer>;
  /**
   * Write down that the act begins, immediately before `run`.
   * @returns `refused` when the run is being aborted: do not act, park or complete as skipped
   */
  acting(held: Held): Promise<Written | 'refused'>;
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
   * Make sure that what was written survives a power cut and a failover, before an act that destroys.
   * @returns which process of Redis promised it (its run_id: another one may have lost what was not confirmed); false
   * where this Redis cannot promise it: then refuse
   */
  confirmDurable(): Promise<string | false>;
}

/** What faces call: acts of people. All audited. */
export interface StoreControl {
  /**
   * Start a run: its roots stand in the outbox afterwards.
   * @throws LOCK_HELD naming the run that holds a lock of the plan
   */
  createRun(plan: Plan, actor: Actor & { readonly run?: string }): Promise<string>;
  /** @throws CONTROL_REFUSED when the run is over */
  abort(run: string, actor: Actor): Promise<void>;
  /** Retry failed main steps (all, without `step`), or ask a waiting one at once. @throws CONTROL_REFUSED */
  retry(run: string, step: number | undefined, actor: Actor): Promise<number>;
  /** Go on without a step that is ready, waiting, unknown or failed. @throws CONTROL_REFUSED */
  skip(run: string, step: number, actor: Actor): Promise<void>;
  /** Answer the question of a waiting step. The first decision stays. @throws CONTROL_REFUSED */
  decide(
    run: string,
    step: number,
    decision: Omit<Decision, 'atMs'> & { readonly request?: string },
  ): Promise<void>;
  /** Ask a waiting step again now. False: it does not wait. */
  wake(run: string, step: number): Promise<boolean>;
}

/** What everybody reads. */
export interface StoreReads {
  /** @throws RUN_UNKNOWN */
  plan(run: string): Promise<Plan>;
  /** @throws RUN_UNKNOWN */
  snapshot(run: string): Promise<RunSnapshot>;
  /** Newest first. */
  listRuns(filter?: { readonly unfinished?: boolean; readonly limit?: number }): Promise<readonly RunHead[]>;
  /** Find a run by a prefix of its id, or `@latest`. @throws RUN_UNKNOWN when none or more than one fits */
  findRun(prefix: string): Promise<string>;
  unfinishedRuns(): Promise<readonly string[]>;
  /** Outputs by step index, for `${steps.x.output.y}`. */
  outputs(run: string, steps: readonly number[]): Promise<ReadonlyMap<number, Json>>;
  /** Events after `seq` (from the start: '0'), at most `limit`. `waitMs`: block so long for the first; own connection. */
  events(
    run: string,
    after: string,
    options?: { readonly limit?: number; readonly waitMs?: number; readonly signal?: AbortSignal },
  ): Promise<readonly RunEvent[]>;
  audit(run: string): Promise<readonly AuditEntry[]>;
}

/** What dispatchers and the leader call. */
export interface StoreFlow {
  /** Take from the outbox what fits into the dispatch window; resent as a new delivery if nobody claims it in time. */
  takeReady(run: string): Promise<readonly Delivery[]>;
  /** Runs whose outbox is not empty. */
  runsToDispatch(): Promise<readonly string[]>;
  /**
   * Handle what is due, at most `limit` things: timers of waits, leases, unclaimed deliveries, slices, holds.
   * `isQueued` tells whether a delivery still stands in the queue (then it is not sent anew).
   * @returns deliveries to send now (renewals of holds), runs to dispatch, when the next is due
   */
  tick(options: {
    readonly epoch: number;
    readonly isQueued: (delivery: Delivery) => Promise<boolean>;
    readonly limit?: number;
  }): Promise<Ticked>;
  /** Become or stay leader. @returns the fencing epoch, or undefined when another leads */
  lead(id: string, ttlMs: number): Promise<number | undefined>;
  /** Give leadership up. */
  resign(id: string): Promise<void>;
}

/** Tell what a tick did. `isFenced`: another leader has taken over. */
export interface Ticked {
  readonly isFenced: boolean;
  readonly renewals: readonly Delivery[];
  readonly runs: readonly string[];
  /** What kept single things from being handled: they are due again soon. */
  readonly faults: readonly unknown[];
  readonly nextDueMs: number | undefined;
  readonly nowMs: number;
}

/** Keep the truth about runs. Open one with `openStore` of store-open.ts. */
export interface Store extends StoreSteps, StoreControl, StoreReads, StoreFlow {
  close(): Promise<void>;
}
