import { CephflowError } from '../base/errors.ts';
import type { Store } from '../engine/store.ts';
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
  const word = typed.toLowerCase();
  const byEnd = heads.map((head) => head.run).filter((run) => run.endsWith(word));
  const [only] = byEnd;
  return byEnd.length === 1 && only !== undefined ? only : store.findRun(typed);
}

/** Find the step that waits for a person's answer. @throws CONTROL_REFUSED when none or more than one does */
export async function findQuestion(store: Store, id: string): Promise<string> {
  const [plan, snapshot] = await Promise.all([store.plan(id), store.snapshot(id)]);
  const asking = snapshot.views.filter(
    (view) => view.state === 'waiting' && view.waiting?.question !== undefined,
  );
  const run = shortRun(id);
  const names = asking.map((view) => plan.steps[view.step]?.id ?? '');
  const [only] = names;
  if (names.length === 1 && only !== undefined) return only;
  const what =
    names.length === 0
      ? `no step of run ${run} waits for an answer`
      : `${names.length} steps of run ${run} wait for an answer: ${names.join(', ')}`;
  const hint = names.length === 0 ? `type: cephflow show ${run}` : 'name one of them after the run';
  throw new CephflowError('CONTROL_REFUSED', what, { hint });
}
