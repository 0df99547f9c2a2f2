import { CephflowError } from '../base/errors.ts';
import type { Actor, StoreControl } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { createRun } from './store-create.ts';
import { repair } from './store-doctor.ts';
import { advanceAll, sweepAll } from './store-flow.ts';
import { unlock } from './store-locks.ts';
import type { PlanView } from './store-plan.ts';
import { redo } from './store-redo.ts';
import { refusedControl } from './store-refusal.ts';
import { sliceOf } from './store-shape.ts';
import { beginUndo } from './store-undo.ts';

/** Make the calls of faces: acts of people. */
export function storeControl(context: StoreContext): StoreControl {
  const act = (order: Order) => carryOut(context, order);
  const whole = (name: Order['act']) => async (run: string, actor: Actor) => {
    await act({ act: name, run, actor });
  };
  const endByHand = async (order: Order & { readonly step: number }) => {
    const { run, step } = order;
    const { shape } = await viewWith(context, run, step);
    const slice = sliceOf(shape, step, 0);
    await act({ ...order, more: [slice.list, slice.next] });
    if (slice.next !== '') await advanceAll(context, run, step, slice.next);
  };
  return {
    createRun: (plan, actor) => createRun(context, plan, actor),
    pause: whole('pause'),
    resume: whole('resume'),
    abort: whole('abort'),
    kill: whole('kill'),
    retry: (run, step, actor) =>
      act(step === undefined ? { act: 'retry-all', run, actor } : { act: 'retry', run, step, actor }),
    redo: async (run, step, actor) => {
      await viewWith(context, run, step);
      return redo(context, { run, step, actor });
    },
    skip: (run, step, actor) => endByHand({ act: 'skip', run, step, actor }),
    mark: async (run, step, as, actor) => {
      if (as === 'done') return endByHand({ act: 'mark-done', run, step, actor });
      const error = JSON.stringify({ code: 'MARKED_FAILED', message: failedByHand(actor) });
      await act({ act: 'mark-failed', run, step, actor, more: [error, ''] });
    },
    undo: (run, actor) => beginUndo(context, run, actor),
    decide: async (run, step, { request, ...decision }) => {
      const actor = { by: decision.by, reason: `${decision.verdict} ${decision.comment}`.trim() };
      const withRequest = request === undefined ? actor : { ...actor, request };
      await act({ act: 'decide', run, step, actor: withRequest, more: [JSON.stringify(decision), ''] });
    },
    wake: async (run, step) => (await act({ act: 'wake', run, step, actor: { by: '' } })) === 1,
    repair: (run, actor) => repair(context, run, actor),
    unlock: (name, holder, actor) => unlock(context, name, holder, actor),
  };
}

const failedByHand = ({ by, reason }: Actor) => `${by} has marked it as failed${reason ? `: ${reason}` : ''}`;

interface Order {
  readonly act:
    | 'pause'
    | 'resume'
    | 'abort'
    | 'kill'
    | 'retry'
    | 'retry-all'
    | 'skip'
    | 'mark-done'
    | 'mark-failed'
    | 'decide'
    | 'wake';
  readonly run: string;
  readonly step?: number;
  readonly actor: Actor;
  readonly more?: readonly [string, string];
}

async function carryOut(context: StoreContext, order: Order): Promise<number> {
  const { act, run, step, actor, more = ['', ''] } = order;
  const view = await viewWith(context, run, step);
  const undoes = step === undefined ? undefined : (await view.step(step))?.undoes;
  const { by, reason = '', request = '' } = actor;
  const words = [act, step ?? '', by, reason, request, ...more, undoes ?? ''];
  const answer = await context.call('control', run, words);
  const [kind, value, hasMore] = answer as [string, number | string, number?];
  if (kind !== 'ok') throw refusedControl(act, run, step, String(value));
  if (hasMore === 1) await sweepAll(context, run);
  return Number(value);
}

async function viewWith(context: StoreContext, run: string, step: number | undefined): Promise<PlanView> {
  const view = await context.view(run, (step ?? -1) + 1);
  if (step === undefined || step < view.size) return view;
  throw new CephflowError('STEP_UNKNOWN', `run ${run} has no step number ${step}`, {
    hint: `\`cephflow show ${run}\` lists its steps`,
  });
}
