import { CephflowError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest.ts';
import type { RunSnapshot, Store } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import { shortRun } from './lines.ts';

/** More runs than this are not looked through for the end of an id; a prefix or the whole id always works. */
const searchedRuns = 1000;

/**
 * Find a run by what an operator typed: its id, a unique beginning or end of it, or `@latest`.
 * @throws RUN_UNKNOWN when none or more than one fits
 */
export async function findRun(store: Store, typed: string): Promise<string> {
  if (typed.startsWith('@')) return store.findRun(typed);
  const heads = await store.listRuns({ limit: searchedRuns });
  const word = typed.toUpperCase();
  const byEnd = heads.map((head) => head.run).filter((run) => run.toUpperCase().endsWith(word));
  const [only] = byEnd;
  return byEnd.length === 1 && only !== undefined ? only : store.findRun(typed);
}

/** Find a step of a plan by its id. @throws STEP_UNKNOWN with the nearest id */
export function findStep(plan: Plan, id: string): number {
  const index = plan.steps.findIndex((step) => step.id === id);
  if (index >= 0) return index;
  const known = plan.steps.filter((step) => step.kind !== 'barrier').map((step) => step.id);
  throw new CephflowError('STEP_UNKNOWN', `this run has no step ${id}.${didYouMean(id, known)}`, {
    hint: 'type cephflow show RUN for all its steps',
  });
}

/** Find the step that waits for a person's answer. @throws CONTROL_REFUSED when none or more than one does */
export function findQuestion(plan: Plan, snapshot: RunSnapshot): number {
  const asking = snapshot.views.filter(
    (view) => view.state === 'waiting' && view.waiting?.question !== undefined,
  );
  const [only] = asking;
  if (asking.length === 1 && only) return only.step;
  const run = shortRun(snapshot.run);
  const names = asking.map((view) => plan.steps[view.step]?.id ?? '');
  const what =
    names.length === 0
      ? `no step of run ${run} waits for an answer`
      : `${names.length} steps of run ${run} wait for an answer: ${names.join(', ')}`;
  const hint = names.length === 0 ? `type: cephflow show ${run}` : 'name one of them after the run';
  throw new CephflowError('CONTROL_REFUSED', what, { hint });
}
