import type { Json } from '../base/json.ts';
import type { Progress } from '../task/task.ts';
import type { RunState, StepState } from './states.ts';

/** Say why a step waits, how far it is and when it is asked again. Times are milliseconds since the epoch. */
export interface Waiting {
  readonly reason: string;
  readonly sinceMs: number;
  readonly nextAskMs?: number;
  readonly progress?: Progress;
  /** A person has to answer this (approve or reject). */
  readonly question?: string;
}

/** Record something that happened in a run. `seq` is the id in the run's event stream; `atMs` is Redis' clock. */
export interface RunEvent {
  readonly seq: string;
  readonly atMs: number;
  readonly kind:
    | 'run-state-changed'
    | 'step-state-changed'
    | 'steps-became-ready'
    | 'step-acting'
    | 'run-grew'
    | 'step-waits'
    | 'step-logged'
    | 'hold-renewed'
    | 'run-controlled';
  /** Index of the step in the plan, where the event is of a step. */
  readonly step?: number;
  readonly state?: StepState | RunState;
  readonly attempt?: number;
  /** With `steps-became-ready` and `run-grew`: how many steps; `step` is the first, or the one that they came from. */
  readonly count?: number;
  /** One sentence for people; never parsed back. */
  readonly text?: string;
  readonly data?: Json;
}
