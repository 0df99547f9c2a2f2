import { CephflowError } from '../base/errors.ts';
import type { PlanStep } from '../plan/plan.ts';
import { pointsOfNoReturn, type UndoRequest, undoSteps } from '../plan/undo.ts';
import { isEndedRun } from '../run/states.ts';
import type { RunBrief, Store } from './store.ts';
import { refusedControl } from './store-refusal.ts';

/** Find out what of a run would have to be taken back. @throws RUN_UNKNOWN */
export async function undoRequest(
  store: Pick<Store, 'plan' | 'followers' | 'snapshot'>,
  run: string,
  tasks: UndoRequest['tasks'],
): Promise<UndoRequest> {
  const [{ steps }, followers, { views }] = await Promise.all([
    store.plan(run),
    store.followers(run),
    store.snapshot(run),
  ]);
  const acted = new Set(
    views.filter(({ acted, state }) => acted && state !== 'undone').map(({ step }) => step),
  );
  return { steps, followers, hasActed: (step) => acted.has(step), tasks };
}

/**
 * List the steps of kind undo that would take a run back, in the order in which they begin; nothing is changed.
 * @throws UNDO_REFUSED naming every step without a way back, CONTROL_REFUSED where the run is past it
 */
export async function stepsToUndo(
  store: Pick<Store, 'plan' | 'followers' | 'snapshot' | 'brief'>,
  run: string,
  tasks: UndoRequest['tasks'],
): Promise<readonly PlanStep[]> {
  const late = tooLate(await store.brief(run));
  if (late !== undefined) throw refusedControl('undo', run, undefined, late);
  const request = await undoRequest(store, run, tasks);
  refuseWithoutWayBack(run, request);
  const { steps } = undoSteps(request, { first: request.steps.length, by: 0 });
  return steps.filter(({ kind }) => kind === 'undo');
}

/** The store would say the same, but only to who has confirmed already. */
function tooLate({ state, isMainOver }: RunBrief): string | undefined {
  if (state === 'left-over') return 'the run is over: it ended with something left over';
  if (isEndedRun(state)) return `the run is over: it ${state}`;
  if (state === 'aborting') return 'the run is being aborted';
  if (state === 'undoing') return 'the run is being undone already';
  return isMainOver ? 'its last steps are under way: they give back what it holds' : undefined;
}

/** Refuse to begin what cannot be ended. @throws UNDO_REFUSED naming every step that has acted and has no way back */
export function refuseWithoutWayBack(run: string, request: UndoRequest): void {
  const steps = pointsOfNoReturn(request).flatMap((index) => request.steps[index] ?? []);
  if (steps.length === 0) return;
  const list = steps.map(({ id, title }) => `  - ${id}: ${title}`).join('\n');
  const what = steps.length === 1 ? 'a step has no way back' : `${steps.length} steps have no way back`;
  throw new CephflowError('UNDO_REFUSED', `run ${run} cannot be taken back, ${what}:\n${list}`, {
    hint: `nothing was changed; \`cephflow abort ${run}\` gives back what it holds and leaves the rest as it is`,
  });
}
