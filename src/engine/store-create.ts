import { ulid } from 'ulid';
import { CephflowError } from '../base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Actor } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { packGraph, unpackGraph } from './store-graph.ts';
import { sendSettings, withPlan } from './store-grow.ts';
import { firstStates } from './store-shape.ts';

/** Start a run of a plan. @throws LOCK_HELD */
export async function createRun(
  context: StoreContext,
  plan: Plan,
  actor: Actor & { readonly run?: string; readonly waits?: boolean },
): Promise<string> {
  const { keys, redis, ask } = context;
  const run = actor.run ?? ulid().toLowerCase();
  const { steps, ...rest } = plan;
  const part = { plan: rest, steps, first: 0 };
  const begun = firstStates(unpackGraph(packGraph(steps)));
  await ask(redis.zadd(keys.drafts, 'NX', Date.now(), run));
  const flags = await sendSettings(context, run, part);
  const head = headOf(plan, actor, { finallySteps: begun.finallySteps, flags });
  const [kind, lock, holder] = await withPlan(context, part, async ({ key, fields }) => {
    const answer = (await context.call('create', run, [
      head,
      begun.states,
      begun.dependencies,
      begun.part,
      begun.ready,
      begun.deliveries,
      key,
      fields,
      actor.by,
      actor.reason ?? '',
      actor.waits === true ? '1' : '0',
    ])) as [string, string?, string?];
    return answer[0] === 'no-plan' ? 'no-plan' : answer;
  });
  if (kind !== 'held') return run;
  throw new CephflowError('LOCK_HELD', `run ${holder} holds ${lock}, which this run needs`, {
    hint: `see what it does with \`cephflow show ${holder}\`; this one can start when it has ended`,
  });
}

function headOf(
  plan: Plan,
  actor: Actor,
  { finallySteps, flags }: { readonly finallySteps: readonly number[]; readonly flags: string },
): string {
  return JSON.stringify({
    playbook: plan.playbook,
    summary: plan.summary,
    cluster: plan.cluster,
    target: plan.target,
    planHash: plan.hash,
    steps: String(plan.steps.length),
    locks: JSON.stringify(plan.locks),
    finally: finallySteps.join(','),
    mainLeft: String(plan.steps.length - finallySteps.length),
    finallyLeft: String(finallySteps.length),
    failed: '0',
    flags,
    by: actor.by,
    ...(actor.reason !== undefined && { reason: actor.reason }),
    ...(plan.deadline && { deadlineMs: String(plan.deadline.afterMs) }),
  });
}
