import type { Actor } from './store.ts';
import type { StoreContext } from './store-context.ts';
import type { PlanView } from './store-plan.ts';
import { refusedControl } from './store-refusal.ts';

/** Steps that are done once more by one script; more of them would keep Redis busy for too long. */
const mostSteps = 2000;

/** Do a step and all that follows from it once more. @throws CONTROL_REFUSED */
export async function redo(
  context: StoreContext,
  { run, step, actor }: { readonly run: string; readonly step: number; readonly actor: Actor },
): Promise<number> {
  context.forgetView(run);
  const view = await context.view(run);
  const refuse = (why: string) => refusedControl('retry', run, step, why);
  if (view.isFinally(step))
    throw refuse('it gives something back when the run ends; nothing follows from it');
  const again = followersOf(view, step);
  if (again.length > mostSteps) throw refuse(`${again.length} steps follow from it, more than ${mostSteps}`);
  const grown = again.find((index) => view.hasGrown(index));
  if (grown !== undefined)
    throw refuse(`step ${grown} has appended steps to the run and cannot be done twice`);
  const members = new Set(again);
  const before = predecessorsOf(view, members);
  const words = again.flatMap((index) => {
    const all = before.get(index) ?? [];
    const others = all.filter((one) => !members.has(one));
    return [index, all.length - others.length, others.join(',')];
  });
  const { by, reason = '', request = '' } = actor;
  const [kind, value] = (await context.call('redo', run, [by, reason, request, step, ...words])) as [
    string,
    number | string,
  ];
  if (kind !== 'ok') throw refuse(String(value));
  return Number(value);
}

/** A step and all that comes after it, ascending. */
function followersOf({ shape }: PlanView, step: number): readonly number[] {
  const found = new Set([step]);
  const open = [step];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const index of shape.after.subarray(shape.afterStart[next], shape.afterStart[next + 1])) {
      if (found.has(index)) continue;
      found.add(index);
      open.push(index);
    }
  }
  return [...found].sort((a, b) => a - b);
}

function predecessorsOf(
  { shape, size }: PlanView,
  members: ReadonlySet<number>,
): ReadonlyMap<number, readonly number[]> {
  const before = new Map<number, number[]>();
  for (let from = 0; from < size; from += 1) {
    for (const to of shape.after.subarray(shape.afterStart[from], shape.afterStart[from + 1])) {
      if (!members.has(to)) continue;
      const list = before.get(to) ?? [];
      list.push(from);
      before.set(to, list);
    }
  }
  return before;
}
