import { hashJson } from '../plan/hash.ts';
import type { PlanStep } from '../plan/plan.ts';
import type { Actor } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { sweepAll } from './store-flow.ts';
import { withPlan } from './store-grow.ts';
import { refusedControl } from './store-refusal.ts';

/** The step that is appended first: it waits for what is under way, then appends what takes back. */
const undoRootId = 'undo';

/** A run that grows in the same moment is asked again so often. */
const beginTries = 5;

/** Begin to take a run back. @throws CONTROL_REFUSED */
export async function beginUndo(context: StoreContext, run: string, actor: Actor): Promise<void> {
  const { by, reason = '', request = '' } = actor;
  for (let left = beginTries; left > 0; left -= 1) {
    context.forgetView(run);
    const { head, size } = await context.view(run);
    const fingerprint = { fsid: head.fsid, targets: [], crush: '', pools: [] };
    const hash = hashJson({ undo: run, first: size });
    const part = {
      plan: { ...head, params: {}, groups: [], fingerprint, hash },
      steps: [rootStep],
      first: size,
    };
    const [kind, value, hasMore] = await withPlan(context, part, async ({ key, fields }) => {
      const answer = await context.call('undo', run, [by, reason, request, key, fields, size]);
      const words = answer as [string, number | string, number?];
      return words[0] === 'no-plan' ? 'no-plan' : words;
    });
    context.forgetView(run);
    if (kind === 'refused') throw refusedControl('undo', run, undefined, String(value));
    if (kind === 'moved') continue;
    if (hasMore === 1) await sweepAll(context, run);
    return;
  }
  throw refusedControl('undo', run, undefined, 'it goes on growing; pause it first');
}

const rootStep: PlanStep = {
  id: undoRootId,
  kind: 'expand',
  risk: 'reads',
  title: 'Work out what is to be taken back',
  with: {},
  after: [],
  part: 'main',
  places: [],
};
