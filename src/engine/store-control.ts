import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ulid } from 'ulid';
import { CephflowError } from '../base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Actor, StoreControl } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { advanceAll } from './store-flow.ts';
import type { Shape } from './store-shape.ts';
import { sliceOf } from './store-shape.ts';

/** Make the calls of faces: acts of people. */
export function storeControl(context: StoreContext): StoreControl {
  const act = (order: Order) => carryOut(context, order);
  return {
    createRun: (plan, actor) => createRun(context, plan, actor),
    abort: async (run, actor) => {
      await act({ act: 'abort', run, actor });
    },
    retry: (run, step, actor) =>
      act(step === undefined ? { act: 'retry-all', run, actor } : { act: 'retry', run, step, actor }),
    skip: async (run, step, actor) => {
      const slice = sliceOf(await shapeWith(context, run, step), step, 0);
      await act({ act: 'skip', run, step, actor, more: [slice.list, slice.next] });
      if (slice.next !== '') await advanceAll(context, run, step, slice.next);
    },
    decide: async (run, step, { request, ...decision }) => {
      const actor = { by: decision.by, reason: `${decision.verdict} ${decision.comment}`.trim() };
      const withRequest = request === undefined ? actor : { ...actor, request };
      await act({ act: 'decide', run, step, actor: withRequest, more: [JSON.stringify(decision), ''] });
    },
    wake: async (run, step) => (await act({ act: 'wake', run, step, actor: { by: '' } })) === 1,
  };
}

interface Order {
  readonly act: 'abort' | 'retry' | 'retry-all' | 'skip' | 'decide' | 'wake';
  readonly run: string;
  readonly step?: number;
  readonly actor: Actor;
  readonly more?: readonly [string, string];
}

async function carryOut(context: StoreContext, order: Order): Promise<number> {
  const { act, run, step, actor, more = ['', ''] } = order;
  await shapeWith(context, run, step);
  const { by, reason = '', request = '' } = actor;
  const answer = await context.call('control', run, [act, step ?? '', by, reason, request, ...more]);
  const [kind, value] = answer as [string, number | string];
  if (kind === 'ok') return Number(value);
  const what = step === undefined ? `run ${run}` : `step ${step} of run ${run}`;
  throw new CephflowError('CONTROL_REFUSED', `cannot ${act.replace('-all', '')} ${what}: ${value}`, {
    hint: `\`cephflow show ${run}\` tells its state`,
  });
}

async function shapeWith(context: StoreContext, run: string, step: number | undefined): Promise<Shape> {
  const { plan, shape } = await context.plan(run);
  if (step === undefined || plan.steps[step]) return shape;
  throw new CephflowError('STEP_UNKNOWN', `run ${run} has no step number ${step}`, {
    hint: `\`cephflow show ${run}\` lists its steps`,
  });
}

const zip = promisify(gzip);

async function createRun(
  context: StoreContext,
  plan: Plan,
  actor: Actor & { readonly run?: string },
): Promise<string> {
  const run = actor.run ?? ulid().toLowerCase();
  const { shape } = context.keep(run, plan);
  const [kind, lock, holder] = (await context.call('create', run, [
    headOf(plan, actor, shape.finallySteps),
    shape.states,
    shape.dependencies,
    shape.part,
    shape.roots.join(','),
    JSON.stringify(shape.places),
    context.keys.plan(plan.hash),
    await zip(JSON.stringify(plan)),
    actor.by,
    actor.reason ?? '',
  ])) as [string, string?, string?];
  if (kind !== 'held') return run;
  throw new CephflowError('LOCK_HELD', `run ${holder} holds ${lock}, which this run needs`, {
    hint: `see what it does with \`cephflow show ${holder}\`; this one can start when it has ended`,
  });
}

function headOf(plan: Plan, actor: Actor, finallySteps: readonly number[]): string {
  return JSON.stringify({
    playbook: plan.playbook,
    summary: plan.summary,
    cluster: plan.cluster,
    target: plan.target,
    planHash: plan.hash,
    steps: String(plan.steps.length),
    locks: JSON.stringify(plan.locks.map(({ name }) => name)),
    finally: finallySteps.join(','),
    mainLeft: String(plan.steps.length - finallySteps.length),
    finallyLeft: String(finallySteps.length),
    failed: '0',
    by: actor.by,
    ...(actor.reason !== undefined && { reason: actor.reason }),
  });
}
