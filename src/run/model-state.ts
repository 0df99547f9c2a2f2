import type { Plan } from '../plan/plan.ts';
import type { RunState, StepState } from './states.ts';

/** Be a step in the model. */
export interface ModelStep {
  state: StepState;
  /** Raised each time it becomes ready: older deliveries are stale. */
  delivery: number;
  token: string;
  /** The act began, and nobody has said how it ended. */
  isActing: boolean;
  /** The act returned. */
  hasActed: boolean;
  attempt: number;
  retries: number;
  /** Stands in the outbox, not yet sent. */
  inOutbox: boolean;
  /** Something is due some day: lease, poll, resend. */
  hasTimer: boolean;
  /** Was woken while it was being asked. */
  isWoken: boolean;
  /** Was claimed at least once since a person last retried it: while the run is paused, only such a step is asked. */
  hasBegun: boolean;
  /** Group whose place it waits for. */
  waitsForGroup: number | undefined;
}

/**
 * Be the reference model of a run: what the store's scripts must do, said without counters, keys or time.
 * A step is ready when all it depends on is done, and not because a number has become 0. A test compares both.
 */
export interface Model {
  readonly plan: Pick<Plan, 'steps' | 'groups'>;
  state: RunState;
  readonly steps: ModelStep[];
  /** `group:member` of the members that are begun and not finished. */
  readonly begun: Set<string>;
  /** Steps that were kept from acting by a pause. */
  readonly stopped: Set<number>;
  isFrozen: boolean;
}
