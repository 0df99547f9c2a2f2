import { ulid } from 'ulid';
import { CephflowError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { UndoRequest } from '../plan/undo.ts';
import type { RunEvent } from '../run/events.ts';
import { isEndedRun, type RunState } from '../run/states.ts';
import type { Actor, LockView, RunSnapshot, Store } from './store.ts';
import { refuseWithoutWayBack, stepsToUndo, undoRequest } from './undo-request.ts';

/** Name a run by its id, and a step by its id in the plan. */
interface StepName {
  readonly run: string;
  readonly step: string;
}

/** Name who holds a lock: a run, or a step of it by its number. */
interface LockHolder {
  readonly run: string;
  readonly step?: number;
}

/** Say from where to follow. `after`: the last event seen ('0': from the beginning). */
interface FollowOptions {
  readonly after?: string;
  readonly signal: AbortSignal;
}

/** Do what people ask for, and tell them what happens. Every act is audited with who and why. */
export interface Control {
  /**
   * `waits`: for the locks of the plan where they are not free (state planned), instead of refusing.
   * @throws LOCK_HELD naming the run that holds what this plan locks
   */
  startRun(plan: Plan, actor: Actor & { readonly waits?: boolean }): Promise<string>;
  /** @throws STEP_UNKNOWN, APPROVER_REQUIRED, CONTROL_REFUSED when the step asks nothing, or was answered already */
  approve(name: StepName, actor: Actor): Promise<void>;
  /** @throws STEP_UNKNOWN, APPROVER_REQUIRED, CONTROL_REFUSED */
  reject(name: StepName, actor: Actor): Promise<void>;
  /** Retry a failed step, or all (without `step`). @returns how many. @throws STEP_UNKNOWN, CONTROL_REFUSED */
  retry(run: string, step: string | undefined, actor: Actor): Promise<number>;
  /** Do a step and all that follows from it once more. @returns how many had begun. @throws STEP_UNKNOWN, CONTROL_REFUSED */
  redo(name: StepName, actor: Actor): Promise<number>;
  /** @throws STEP_UNKNOWN, APPROVER_REQUIRED, CONTROL_REFUSED */
  skip(name: StepName, actor: Actor): Promise<void>;
  /** Say how a step ended: somebody has looked. @throws STEP_UNKNOWN, APPROVER_REQUIRED (done), CONTROL_REFUSED */
  mark(name: StepName, as: 'done' | 'failed', actor: Actor): Promise<void>;
  /** @throws CONTROL_REFUSED */
  pause(run: string, actor: Actor): Promise<void>;
  /** @throws CONTROL_REFUSED */
  resume(run: string, actor: Actor): Promise<void>;
  /** @throws CONTROL_REFUSED */
  abort(run: string, actor: Actor): Promise<void>;
  /** End the run now; nothing is given back. @throws CONTROL_REFUSED */
  kill(run: string, actor: Actor): Promise<void>;
  /**
   * Tell what `undo` would take back, in that order; nothing is changed.
   * @returns steps of kind undo. @throws UNDO_REFUSED naming every step without a way back, CONTROL_REFUSED
   */
  undoSteps(run: string): Promise<readonly PlanStep[]>;
  /** Take the run back. @throws UNDO_REFUSED naming every step without a way back, CONTROL_REFUSED */
  undo(run: string, actor: Actor): Promise<void>;
  /** List the locks that are held or waited for, by name. */
  locks(): Promise<readonly LockView[]>;
  /** Take a lock away from its holder, who goes on without it. False: that one does not hold it. */
  unlock(name: string, holder: LockHolder, actor: Actor): Promise<boolean>;
  /** @throws RUN_UNKNOWN */
  snapshot(run: string): Promise<RunSnapshot>;
  /** Give every event once, in order, until the run is over or the signal fires. */
  follow(run: string, options: FollowOptions): AsyncGenerator<RunEvent>;
  /** Give what steps have written to their logs so far. */
  logs(run: string, step?: string): AsyncGenerator<RunEvent>;
}

/** Say what acts of people need besides the store. */
interface ControlParts {
  /** Sends what became ready at once; without it the leader does, within a second. */
  readonly dispatch?: (run: string) => void;
  /** The task library, for undo: what it does not know has no way back. Absent: it is empty. */
  readonly tasks?: () => Promise<UndoRequest['tasks']>;
}

/** Make the control of a store. */
export function createControl(store: Store, parts: ControlParts = {}): Control {
  const { dispatch = () => undefined, tasks = async () => new Map() } = parts;
  // the connection sends a command again whose answer was lost: with an id of its own an act is done once
  const once = (actor: Actor): Actor => ({ ...actor, request: actor.request ?? ulid().toLowerCase() });
  const whole = (act: 'pause' | 'resume' | 'abort' | 'kill') => async (run: string, actor: Actor) => {
    await store[act](run, once(actor));
    dispatch(run);
  };

  async function decide(name: StepName, verdict: 'approved' | 'rejected', actor: Actor): Promise<void> {
    const { reason: comment = '', ...who } = once(actor);
    const [index, step] = await findStep(store, name);
    refuseStranger(name.run, step, actor);
    await store.decide(name.run, index, { verdict, comment, ...who });
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
      const index = step === undefined ? undefined : (await findStep(store, { run, step }))[0];
      const count = await store.retry(run, index, once(actor));
      dispatch(run);
      return count;
    },
    redo: async (name, actor) => {
      const [index] = await findStep(store, name);
      const count = await store.redo(name.run, index, once(actor));
      dispatch(name.run);
      return count;
    },
    skip: async (name, actor) => {
      const [index, step] = await findStep(store, name);
      refuseStranger(name.run, step, actor);
      await store.skip(name.run, index, once(actor));
      dispatch(name.run);
    },
    mark: async (name, as, actor) => {
      const [index, step] = await findStep(store, name);
      if (as === 'done') refuseStranger(name.run, step, actor);
      await store.mark(name.run, index, as, once(actor));
      dispatch(name.run);
    },
    pause: whole('pause'),
    resume: whole('resume'),
    abort: whole('abort'),
    kill: whole('kill'),
    undoSteps: async (run) => stepsToUndo(store, run, await tasks()),
    undo: async (run, actor) => {
      refuseWithoutWayBack(run, await undoRequest(store, run, await tasks()));
      await store.undo(run, once(actor));
      dispatch(run);
    },
    locks: () => store.locks(),
    unlock: (name, holder, actor) => store.unlock(name, holder, once(actor)),
    snapshot: (run) => store.snapshot(run),
    follow: (run, options) => follow(store, run, options),
    logs: (run, step) => logs(store, run, step),
  };
}

async function findStep(store: Store, { run, step }: StepName): Promise<readonly [number, PlanStep]> {
  const plan = await store.plan(run);
  const index = stepIndex(plan, step);
  return [index, plan.steps[index] as PlanStep];
}

/** Name the user of `ada@adm1 (pts/1)`; the name itself may hold an @ (`ada@corp@adm1`). */
const userOf = (by: string) => (by.includes('@') ? by.slice(0, by.lastIndexOf('@')) : by);

/** Where a playbook says who may approve, nobody else may let the run past the step. */
function refuseStranger(run: string, { id, approvers }: PlanStep, { by }: Actor): void {
  if (approvers === undefined || approvers.includes(userOf(by))) return;
  const who = approvers.join(' or ');
  throw new CephflowError('APPROVER_REQUIRED', `${id} of run ${run} is for ${who} to decide, not for ${by}`, {
    hint: `nothing was changed; ask ${who} to type it`,
  });
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
