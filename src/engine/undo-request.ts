import type { UndoRequest } from '../plan/undo.ts';
import type { Store } from './store.ts';

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
