import { CephflowError } from '../base/errors.ts';
import { evaluateWhen, type Outputs } from '../plan/fill.ts';
import { growPlan } from '../plan/grow.ts';
import { hashJson } from '../plan/hash.ts';
import type { PlanStep } from '../plan/plan.ts';
import { joining, tasksOf } from '../plan/plan-steps.ts';
import { undoSteps } from '../plan/undo.ts';
import type { Completed, Growth } from './leases.ts';
import { understandThrown } from './thrown.ts';
import { undoRequest } from './undo-request.ts';
import { collectOutputs } from './values.ts';
import { waitForTask } from './waits.ts';
import { type Claimed, clockFrom, recordError } from './workshop.ts';

/** Another expansion of the same run may come between: then the numbers are worked out anew, so often. */
const growTries = 10;
/** What is under way when a run is to be taken back is looked at again so often. */
const underWayPollMs = 2000;

/** Append the steps that an expand step stands for, and end it. */
export async function growRun(claimed: Claimed): Promise<Completed | undefined> {
  const { grant, shop, step } = claimed;
  const { run } = grant;
  try {
    if (!step.expansion && (await waitsForOthers(claimed))) return undefined;
    const missing = missingTask(claimed);
    if (missing !== undefined) return waitForTask(claimed, missing);
    const outputs = await collectOutputs({ store: shop.store, run, step });
    if (!evaluateWhen(step, outputs)) return skip(claimed);
    for (let left = growTries; left > 0; left -= 1) {
      const growth = await workOut(claimed, outputs, await shop.store.extent(run));
      const written = await shop.store.expand(grant, growth);
      if (written === 'moved') continue;
      if (written === 'accepted') shop.dispatch(run);
      return undefined;
    }
    throw new CephflowError('INTERNAL', `run ${run} grows faster than ${step.id} can append to it`);
  } catch (thrown) {
    const error = understandThrown(thrown);
    if (error.code === 'REDIS_UNREACHABLE') throw error;
    return shop.store.complete(grant, { state: 'failed', acted: false, error: recordError(error) });
  }
}

function skip({ grant, shop, step }: Claimed): Promise<Completed> {
  const reason = `its condition is not met: ${step.when}`;
  return shop.store.complete(grant, { state: 'skipped', acted: false, reason });
}

/** What is taken back must have come to its end first. */
async function waitsForOthers({ grant, shop }: Claimed): Promise<boolean> {
  const busy = await shop.store.underWay(grant.run, grant.step);
  const [first] = busy;
  if (first === undefined) return false;
  const name = (await shop.store.step(grant.run, first))?.id ?? String(first);
  const others = busy.length > 1 ? ` and ${busy.length - 1} more` : '';
  await shop.store.park(grant, {
    untilMs: clockFrom(grant.nowMs)() + underWayPollMs,
    waiting: { reason: `waits until ${name}${others} has come to its end` },
  });
  return true;
}

/** Where new steps are numbered from. */
interface Extent {
  readonly size: number;
  readonly groups: number;
}

async function workOut(claimed: Claimed, outputs: Outputs, { size, groups }: Extent): Promise<Growth> {
  const { grant, shop, step } = claimed;
  const place = { first: size, groupsFrom: groups, known: step.inputs ?? {} };
  if (!step.expansion) {
    const request = await undoRequest(shop.store, grant.run, tasksOf(shop.tasks));
    return { ...undoSteps(request, { first: size, by: grant.step }), ...place };
  }
  const at = { index: grant.step, firstIndex: size, groups };
  const grown = growPlan(step, at, outputs, shop.tasks);
  const steps = [...grown.steps, joinOf(step, grant.step, { first: size, steps: grown.steps })];
  return { groups: grown.groups, steps, hash: hashJson({ grown: grown.hash, ...at }), ...place };
}

/** Join what was appended: whatever comes after the expand step comes after this. */
function joinOf(
  step: PlanStep,
  index: number,
  { first, steps }: { readonly first: number; readonly steps: readonly PlanStep[] },
): PlanStep {
  const followed = new Set(steps.flatMap(({ after }) => after));
  const ends = steps.flatMap((_, at) => (followed.has(first + at) ? [] : [first + at]));
  return {
    id: `${step.id}.joined`,
    ...joining,
    after: ends.length > 0 ? ends : [index],
    part: step.part,
    places: [],
  };
}

/** Give the tasks of an expansion that this worker has not, or not as the plan pinned them. */
function missingTask({ shop, run, step }: Claimed): string | undefined {
  const names = step.expansion?.steps.flatMap(({ task }) => task ?? []) ?? [];
  return names.find((name) => shop.tasks.get(name)?.hash !== run.plan.tasks[name]);
}
