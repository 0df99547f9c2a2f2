import { ulid } from 'ulid';
import { CephflowError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent } from '../run/events.ts';
import { isEndedRun, type RunState } from '../run/states.ts';
import type { Actor, RunSnapshot, Store } from './store.ts';

/** Name a run by its id, and a step by its id in the plan. */
interface StepName {
  readonly run: string;
  readonly step: string;
}

/** Say from where to follow. `after`: the last event seen ('0': from the beginning). */
interface FollowOptions {
  readonly after?: string;
  readonly signal: AbortSignal;
}

/** Do what people ask for, and tell them what happens. Every act is audited with who and why. */
export interface Control {
  /** @throws LOCK_HELD naming the run that holds what this plan locks */
  startRun(plan: Plan, actor: Actor): Promise<string>;
  /** @throws STEP_UNKNOWN, CONTROL_REFUSED when the step asks nothing, or was answered already */
  approve(name: StepName, actor: Actor): Promise<void>;
  /** @throws STEP_UNKNOWN, CONTROL_REFUSED */
  reject(name: StepName, actor: Actor): Promise<void>;
  /** Retry a failed step, or all (without `step`). @returns how many. @throws STEP_UNKNOWN, CONTROL_REFUSED */
  retry(run: string, step: string | undefined, actor: Actor): Promise<number>;
  /** @throws STEP_UNKNOWN, CONTROL_REFUSED */
  skip(name: StepName, actor: Actor): Promise<void>;
  /** @throws CONTROL_REFUSED */
  abort(run: string, actor: Actor): Promise<void>;
  /** @throws RUN_UNKNOWN */
  snapshot(run: string): Promise<RunSnapshot>;
  /** Give every event once, in order, until the run is over or the signal fires. */
  follow(run: string, options: FollowOptions): AsyncGenerator<RunEvent>;
  /** Give what steps have written to their logs so far. */
  logs(run: string, step?: string): AsyncGenerator<RunEvent>;
}

/** Make the control of a store. `dispatch` sends what became ready at once; without it the leader does, within a second. */
export function createControl(store: Store, dispatch: (run: string) => void = () => undefined): Control {
  // the connection sends a command again whose answer was lost: with an id of its own an act is done once
  const once = (actor: Actor): Actor => ({ ...actor, request: actor.request ?? ulid().toLowerCase() });
  const indexOf = async ({ run, step }: StepName) => stepIndex(await store.plan(run), step);

  async function decide(name: StepName, verdict: 'approved' | 'rejected', actor: Actor): Promise<void> {
    const { reason: comment = '', ...who } = once(actor);
    await store.decide(name.run, await indexOf(name), { verdict, comment, ...who });
    dispatch(name.run);
  }

  return {
    startRun: async (plan, actor) => {
      const run = await store.createRun(plan, actor);
      dispatch(run);
      return run;
    },
    approve: (name, actor) => decide(name, 'approved', actor),
    reject: (name, actor) => decide(name, 'rejected', actor),
    retry: async (run, step, actor) => {
      const index = step === undefined ? undefined : await indexOf({ run, step });
      const count = await store.retry(run, index, once(actor));
      dispatch(run);
      return count;
    },
    skip: async (name, actor) => {
      await store.skip(name.run, await indexOf(name), once(actor));
      dispatch(name.run);
    },
    abort: async (run, actor) => {
      await store.abort(run, once(actor));
      dispatch(run);
    },
    snapshot: (run) => store.snapshot(run),
    follow: (run, options) => follow(store, run, options),
    logs: (run, step) => logs(store, run, step),
  };
}

/** Find a step of a plan by its id. @throws STEP_UNKNOWN with the nearest name */
export function stepIndex(plan: Plan, step: string): number {
  const index = plan.steps.findIndex(({ id }) => id === step);
  if (index >= 0) return index;
  const ids = plan.steps.map(({ id }) => id);
  throw new CephflowError('STEP_UNKNOWN', `the run has no step "${step}".${didYouMean(step, ids)}`, {
    hint: 'its steps are listed by: cephflow show RUN',
  });
}

/** Longest blocking read: a signal and an ended run are noticed after it at the latest. */
const followWaitMs = 5000;
/** Events of one read: a screenful many times over, and no burden for Redis. */
const eventsAtOnce = 500;

async function* follow(
  store: Store,
  run: string,
  { after = '0', signal }: FollowOptions,
): AsyncGenerator<RunEvent> {
  let last = after;
  let isOver = isEndedRun((await store.brief(run)).state);
  while (!signal.aborted) {
    const wait = isOver ? {} : { waitMs: followWaitMs };
    const events = await store.events(run, last, { limit: eventsAtOnce, signal, ...wait });
    for (const event of events) {
      yield event;
      last = event.seq;
      if (event.kind === 'run-state-changed' && isEndedRun(event.state as RunState)) return;
    }
    if (events.length > 0) continue;
    // once more after learning that it is over: its last events may have come in between
    if (isOver) return;
    isOver = isEndedRun((await store.brief(run)).state);
  }
}

async function* logs(store: Store, run: string, step: string | undefined): AsyncGenerator<RunEvent> {
  const index = step === undefined ? undefined : stepIndex(await store.plan(run), step);
  let last = '0';
  for (;;) {
    const events = await store.events(run, last, { limit: eventsAtOnce });
    for (const event of events) {
      const isWanted = index === undefined || event.step === index;
      if (event.kind === 'step-logged' && isWanted) yield event;
      last = event.seq;
    }
    if (events.length < eventsAtOnce) return;
  }
}
