import { randomBytes } from 'node:crypto';
import type { Json } from '../base/json.ts';
import type { RunState } from '../run/states.ts';
import type { Decision } from '../task/context.ts';
import type {
  ClaimAnswer,
  Completed,
  Grant,
  Held,
  Mode,
  Outcome,
  Parking,
  StepRef,
  StoreSteps,
  Written,
} from './store.ts';
import type { StoreContext } from './store-context.ts';
import { confirmDurable } from './store-durable.ts';
import { advanceAll } from './store-flow.ts';
import type { ScriptArgument } from './store-scripts.ts';
import { sliceOf } from './store-shape.ts';

/** Make the calls of workers: the life of a step. */
export function storeSteps(context: StoreContext): StoreSteps {
  const { call } = context;
  const note = noteCaller(context);
  const written = async (held: Held, what: string, ...values: readonly ScriptArgument[]) =>
    (await note(held, what, ...values))[0] as Written;
  return {
    ...leaseCalls(context),
    acting: async (held) => (await note(held, 'acting', ''))[0],
    acted: (held, output = null) => written(held, 'acted', JSON.stringify(output)),
    verified: (held) => written(held, 'verified', ''),
    renewLease: (held, leaseMs) => written(held, 'renew', leaseMs),
    remember: async (held, value) => {
      const [kind, kept] = await note(held, 'remember', JSON.stringify(value));
      return kind === 'accepted' && kept !== undefined ? (JSON.parse(kept) as Json) : 'lost';
    },
    observe: (held, value, { decisionTaken = false } = {}) =>
      written(held, 'observe', JSON.stringify(value), decisionTaken ? '1' : '0'),
    log: async (held, text) => {
      await note(held, 'log', text);
    },
    recordHold: (held, { expiresMs, renewMs }) =>
      written(held, 'hold', Math.round(expiresMs), Math.round(renewMs)),
    holdRenewed: async ({ run, step }, { expiresMs, renewMs }) =>
      (await call('hold', run, [step, Math.round(expiresMs), Math.round(renewMs)])) === 1,
    holdReleased: async ({ run, step }) => {
      await call('hold', run, [step, '', '']);
    },
    confirmDurable: () => confirmDurable(context),
  };
}

function noteCaller({ call }: StoreContext) {
  return async (held: Held, what: string, ...values: readonly ScriptArgument[]) =>
    (await call('note', held.run, [held.step, held.token, what, ...values])) as [
      Written | 'refused',
      string?,
    ];
}

type LeaseCalls = Pick<
  StoreSteps,
  'claim' | 'complete' | 'park' | 'retryLater' | 'takeActLock' | 'releaseActLock'
>;

function leaseCalls(context: StoreContext): LeaseCalls {
  const { call } = context;
  return {
    claim: async ({ run, step, delivery, worker, leaseMs }) => {
      const args = [step, delivery, newToken(), worker, leaseMs];
      const [kind, grant] = (await call('claim', run, args)) as [ClaimAnswer['kind'], RawGrant?];
      if (kind !== 'granted') return { kind };
      return { kind, grant: readGrant(run, grant as RawGrant) };
    },
    complete: (held, outcome) => complete(context, held, outcome),
    park: (held, parking) => park(context, held, parking),
    retryLater: async (held, { delayMs, error, mayHaveActed }) => {
      const waiting = JSON.stringify({ reason: `tries again after: ${error.message}` });
      const rest = [JSON.stringify(error), mayHaveActed === true ? '1' : '0'];
      const args = [held.step, held.token, `+${Math.round(delayMs)}`, waiting, '', ...rest];
      return (await call('park', held.run, args)) as Written;
    },
    takeActLock: async (held, fsid) => {
      const args = [held.step, held.token, fsid, 'take'];
      const [kind, holder] = (await call('act-lock', held.run, args)) as [string, string?];
      if (kind === 'held') return { held: true };
      return holder === undefined ? { held: false } : { held: false, holder: readRef(holder) };
    },
    releaseActLock: async (held, fsid) => {
      await call('act-lock', held.run, [held.step, held.token, fsid, 'release']);
    },
  };
}

async function complete(context: StoreContext, held: Held, outcome: Outcome): Promise<Completed> {
  const { run, step, token } = held;
  const { plan, shape } = await context.plan(run);
  const slice = sliceOf(shape, step, 0);
  const releases = outcome.state === 'succeeded' ? plan.steps[step]?.releases : undefined;
  const [kind, ready, runState, next] = (await context.call('complete', run, [
    step,
    token,
    outcomeBytes[outcome.state],
    outcome.output === undefined ? '' : JSON.stringify(outcome.output),
    outcome.error ? JSON.stringify(outcome.error) : '',
    outcome.mayHaveActed ? '1' : '0',
    slice.list,
    slice.next,
    releases ?? '',
    outcome.next ? newToken() : '',
    outcome.next?.worker ?? '',
    outcome.next?.leaseMs ?? '',
    outcome.reason ?? '',
    context.lowWater,
  ])) as [Completed['kind'], number, RunState, RawGrant?];
  const goesOn = outcome.state !== 'failed' || plan.steps[step]?.part === 'finally';
  const hasMore = kind === 'accepted' && goesOn && slice.next !== '';
  if (hasMore) await advanceAll(context, run, step, slice.next);
  const answer = { kind, ready: ready + (hasMore ? 1 : 0), runState };
  return next ? { ...answer, next: readGrant(run, next) } : answer;
}

const outcomeBytes = { succeeded: 's', failed: 'f', skipped: 'k' } as const;

async function park(context: StoreContext, held: Held, parking: Parking): Promise<Written> {
  const until = parking.untilMs === null ? '' : Math.round(parking.untilMs);
  const observed = parking.observed === undefined ? '' : JSON.stringify(parking.observed);
  const args = [held.step, held.token, until, JSON.stringify(parking.waiting), observed, '', '0'];
  return (await context.call('park', held.run, args)) as Written;
}

/** step, token, delivery, begun, now, then the texts of mem in the order r o d a A m n t. */
type RawGrant = [number, string, number, number, number, (string | null)[]];

function readGrant(run: string, raw: RawGrant): Grant {
  const [step, token, delivery, begunMs, nowMs, memory] = raw;
  const [remembered, observed, decision, acting, output, actedMs, further, retries] = memory;
  return {
    run,
    step,
    token,
    delivery,
    begunMs,
    nowMs,
    mode: modeOf(acting, output),
    attempt: 1 + Number(further ?? 0),
    retries: Number(retries ?? 0),
    ...(remembered && { remembered: JSON.parse(remembered) as Json }),
    ...(observed && { observed: JSON.parse(observed) as Json }),
    ...(decision && { decision: JSON.parse(decision) as Decision }),
    ...(output && { output: JSON.parse(output) as Json }),
    ...(actedMs && { actedMs: Number(actedMs) }),
  };
}

function modeOf(acting: string | null | undefined, output: string | null | undefined): Mode {
  if (acting) return 'verify';
  return output ? 'read-back' : 'act';
}

/** Eight characters, 48 random bits. A counter would not do: Redis that has lost a tail would give a number twice. */
const newToken = () => randomBytes(6).toString('base64url');

/** Read `run|step`. */
function readRef(text: string): StepRef {
  const [run = '', step] = text.split('|');
  return { run, step: Number(step) };
}
