import type { Json } from '../base/json.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { RunEvent, Waiting } from '../run/events.ts';
import type { RunState, StepState } from '../run/states.ts';
import type { Decision } from '../task/context.ts';
import type { HoldView, StepError, StepRef, StoreSteps } from './leases.ts';
import type { PlanHead } from './store-plan.ts';
import type { WorkerFacts } from './store-workers.ts';

/** Say who acts, and why. `request` makes an act idempotent: a repeat with the same id changes nothing more. */
export interface Actor {
  readonly by: string;
  readonly reason?: string;
  readonly request?: string;
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
  /** Queue of the cluster; absent: the usual one. */
  readonly queue?: string;
  /** The lower, the sooner it goes: its place among what is sent of its run, and the priority of its step. */
  readonly turn?: number;
}

/** Show a lock that is held or waited for. Holders and waiters are runs, or steps of runs. */
export interface LockView {
  readonly name: string;
  readonly holders: readonly { readonly run: string; readonly step?: number; readonly sinceMs: number }[];
  readonly waiters: readonly { readonly run: string; readonly step?: number }[];
}

/**
 * Say what is wrong with the records of a run, in one sentence for people. `run` is '' where it belongs to none. `is` and
 * `shouldBe` are for programs.
 */
export interface StoreFinding {
  readonly run: string;
  readonly kind:
    | 'dependency'
    | 'counter'
    | 'state'
    | 'ready'
    | 'stuck'
    | 'early'
    | 'unswept'
    | 'timer'
    | 'slice'
    | 'place'
    | 'set'
    | 'lock'
    | 'hold'
    | 'plan'
    | 'size';
  readonly step?: number;
  readonly is: string;
  readonly shouldBe: string;
  readonly text: string;
  /** False: a person must see to it. */
  readonly canRepair: boolean;
}

/** What faces call: acts of people. All audited; all throw CONTROL_REFUSED with the reason where the state forbids them. */
export interface StoreControl {
  /**
   * Start a run: its roots stand in the outbox afterwards. `waits`: for its locks, if they are not free (state planned).
   * @throws LOCK_HELD naming the run that holds a lock of the plan
   */
  createRun(plan: Plan, actor: Actor & { readonly run?: string; readonly waits?: boolean }): Promise<string>;
  /** Begin nothing new; what is under way ends, what waits goes on being asked. */
  pause(run: string, actor: Actor): Promise<void>;
  resume(run: string, actor: Actor): Promise<void>;
  /** Begin nothing new, end what is under way, then give back what is held (`finally`). */
  abort(run: string, actor: Actor): Promise<void>;
  /** End the run now: workers lose their leases, nothing is given back. */
  kill(run: string, actor: Actor): Promise<void>;
  /** Retry failed main steps (all, without `step`), or ask a waiting one at once. @returns how many */
  retry(run: string, step: number | undefined, actor: Actor): Promise<number>;
  /** Do a step and all that follows from it once more. @returns how many steps that had begun */
  redo(run: string, step: number, actor: Actor): Promise<number>;
  /** Go on without a step that is ready, waiting, unknown or failed. */
  skip(run: string, step: number, actor: Actor): Promise<void>;
  /** Say how such a step ended: somebody has looked. */
  mark(run: string, step: number, as: 'done' | 'failed', actor: Actor): Promise<void>;
  /** Take the run back: cancel what has not begun, then undo in reverse order what a new step will work out. */
  undo(run: string, actor: Actor): Promise<void>;
  /** Answer the question of a waiting step. The first decision stays. */
  decide(
    run: string,
    step: number,
    decision: Omit<Decision, 'atMs'> & { readonly request?: string },
  ): Promise<void>;
  /** Ask a waiting step again now. False: it does not wait. */
  wake(run: string, step: number): Promise<boolean>;
  /** Take a lock away from its holder. False: that one does not hold it. */
  unlock(
    name: string,
    holder: { readonly run: string; readonly step?: number },
    actor: Actor,
  ): Promise<boolean>;
  /**
   * Mend what `examine` finds, as far as a script can. No step is ended, and none that runs is touched.
   * @returns how many findings were mended. @throws CONTROL_REFUSED when the run changes faster than it can be examined
   */
  repair(run: string, actor: Actor): Promise<number>;
}

/** Be the least of a run that a worker or follower needs. */
export interface RunBrief {
  readonly state: RunState;
  readonly by: string;
  readonly steps: number;
  /** Nothing but what gives back what the run holds is left to do. */
  readonly isMainOver: boolean;
  readonly createdMs: number;
}

/** What everybody reads. */
export interface StoreReads {
  /** @throws RUN_UNKNOWN */
  plan(run: string): Promise<Plan>;
  /** One step of the plan; its `after` is empty. @throws RUN_UNKNOWN */
  step(run: string, index: number): Promise<PlanStep | undefined>;
  /** The plan without its steps: little, whatever its size. @throws RUN_UNKNOWN */
  planHead(run: string): Promise<PlanHead>;
  /** @throws RUN_UNKNOWN */
  snapshot(run: string): Promise<RunSnapshot>;
  /** Little about a run, whatever its size. @throws RUN_UNKNOWN */
  brief(run: string): Promise<RunBrief>;
  /** What is held of a step, and whether its act ever began. */
  holdOf(
    step: StepRef,
  ): Promise<{ readonly hold?: HoldView; readonly hasBegun: boolean; readonly nowMs: number }>;
  /** Steps of main that are not ended and may change something yet, before step `below`. */
  underWay(run: string, below: number): Promise<readonly number[]>;
  /**
   * The steps after each step: after one that appended steps come these, and after their last what came after it.
   * @throws RUN_UNKNOWN
   */
  followers(run: string): Promise<(step: number) => Iterable<number>>;
  /** What the last `observe` of a step wrote and nothing has forgotten since. */
  observed(run: string, step: number): Promise<Json | undefined>;
  /** What a step remembered before it acted. */
  remembered(run: string, step: number): Promise<Json | undefined>;
  /** Workers that are there, by name. */
  workers(): Promise<readonly WorkerFacts[]>;
  /** Locks that are held or waited for, by name. */
  locks(): Promise<readonly LockView[]>;
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
  /**
   * Compare counters, sets, timers, places and locks of a run with its states and its plan. Of an unknown run: what is
   * left of it. '' for what belongs to no run, and for all that is left of runs that are not unfinished.
   */
  examine(run: string): Promise<readonly StoreFinding[]>;
}

/** What dispatchers and the leader call. */
export interface StoreFlow {
  /**
   * Take from the outbox what fits into the dispatch window, highest priority first; resent as a new delivery if nobody
   * claims it in time. `turn` spreads the deliveries of all runs, so that each gets its turn.
   */
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
  /** Throw away some runs that ended longer ago than they are kept, and drafts of runs that never began. @returns how many */
  collect(epoch: number): Promise<number>;
}

/** Tell what a tick did. `isFenced`: another leader has taken over. */
export interface Ticked {
  readonly isFenced: boolean;
  /** Runs whose time is over: do what their plan says, as `deadline`. */
  readonly overdue: readonly string[];
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
