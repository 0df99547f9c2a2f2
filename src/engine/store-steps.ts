import { randomBytes } from 'node:crypto';
import type { Json } from '../base/json.ts';
import type { RunState } from '../run/states.ts';
import type { Decision } from '../task/context.ts';
import type {
  ClaimAnswer,
  Completed,
  Grant,
  Halt,
  Held,
  LockAnswer,
  Mode,
  Outcome,
  Parking,
  StoreSteps,
  Written,
} from './leases.ts';
import type { StoreContext } from './store-context.ts';
import { confirmDurable } from './store-durable.ts';
import { advanceAll } from './store-flow.ts';
import { appendGrowth } from './store-grow.ts';
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
    ...lockCalls(context),
    acting: async (held, undoes) => {
      const [kind, why] = await note(held, 'acting', undoes ?? '');
      return kind === 'refused' ? (why as Halt) : kind;
    },
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
    expand: (held, growth, output) => appendGrowth(context, held, growth, output),
    extent: async (run) => {
      context.forgetView(run);
      const { size, groups } = await context.view(run);
      return { size, groups };
    },
    confirmDurable: () => confirmDurable(context),
  };
}

function noteCaller({ step }: StoreContext) {
  return async (held: Held, what: string, ...values: readonly ScriptArgument[]) =>
    (await step(held.run, 'note', [held.step, held.token, what, ...values])) as [
      Written | 'refused',
      string?,
    ];
}

type LeaseCalls = Pick<StoreSteps, 'claim' | 'complete' | 'park' | 'retryLater'>;

function leaseCalls(context: StoreContext): LeaseCalls {
  const park = async ({ run, step, token }: Held, words: readonly ScriptArgument[]) =>
    (await context.step(run, 'park', [step, token, ...words])) as Written;
  return {
    claim: async ({ run, step, delivery, worker, leaseMs, more = 0 }) => {
      const args = [step, delivery, newToken(), worker, leaseMs, newTokens(more)];
      const answer = (await context.step(run, 'claim', args)) as [
        ClaimAnswer['kind'],
        RawGrant?,
        RawGrant[]?,
      ];
      const [kind, grant, others = []] = answer;
      if (kind !== 'granted') return { kind };
      const readOne = (raw: RawGrant) => readGrant(run, raw);
      return { kind, grant: readOne(grant as RawGrant), more: others.map(readOne) };
    },
    complete: (held, outcome) => complete(context, held, outcome),
    park: (held, parking) => park(held, parkingWords(parking)),
    retryLater: (held, { delayMs, error, mayHaveActed }) => {
      const waiting = JSON.stringify({ reason: `tries again after: ${error.message}` });
      const rest = [JSON.stringify(error), mayHaveActed === true ? '1' : '0'];
      return park(held, [`+${Math.round(delayMs)}`, waiting, '', ...rest]);
    },
  };
}

function parkingWords({ untilMs, waiting, observed }: Parking): readonly ScriptArgument[] {
  const until = untilMs === null ? '' : Math.round(untilMs);
  return [until, JSON.stringify(waiting), observed === undefined ? '' : JSON.stringify(observed), '', '0'];
}

type LockCalls = Pick<StoreSteps, 'takeActLock' | 'releaseActLock' | 'takeLocks' | 'askRate'>;

function lockCalls({ step: ask }: StoreContext): LockCalls {
  return {
    takeActLock: async ({ run, step, token }, fsid) => {
      const [kind, holder] = (await ask(run, 'actlock', [step, token, fsid, 'take'])) as [string, string?];
      return lockAnswer(kind === 'held', undefined, holder) as Awaited<ReturnType<StoreSteps['takeActLock']>>;
    },
    releaseActLock: async ({ run, step, token }, fsid) => {
      await ask(run, 'actlock', [step, token, fsid, 'release']);
    },
    takeLocks: async ({ run, step, token }, locks) => {
      const answer = await ask(run, 'lock', [step, token, JSON.stringify(locks)]);
      const [kind, name, holder] = answer as [string, string?, string?];
      return lockAnswer(kind === 'held', name, holder);
    },
    askRate: async ({ run, step, token }, { name, most, perMs }) =>
      (await ask(run, 'rate', [step, token, name, most, perMs])) as number | 'lost',
  };
}

function lockAnswer(held: boolean, name: string | undefined, holder: string | undefined): LockAnswer {
  if (held) return { held };
  return {
    held,
    ...(name !== undefined && { name }),
    ...(holder !== undefined && { holder: readHolder(holder) }),
  };
}

/** Read `run|step`, or `run|` where the run itself holds. */
export function readHolder(text: string): { readonly run: string; readonly step?: number } {
  const [run = '', step = ''] = text.split('|');
  return step === '' ? { run } : { run, step: Number(step) };
}

async function complete(context: StoreContext, held: Held, outcome: Outcome): Promise<Completed> {
  const { run, step, token } = held;
  const view = await context.view(run, step + 1);
  const slice = sliceOf(view.shape, step, 0);
  const isRelease = outcome.state === 'succeeded' && view.kindOf(step) === 'r';
  const releases = isRelease ? (await view.step(step))?.releases : undefined;
  const [kind, ready, runState, next] = (await context.step(run, 'complete', [
    step,
    token,
    ...outcomeWords(outcome),
    slice.list,
    slice.next,
    releases ?? '',
    outcome.reason ?? '',
    context.lowWater,
    outcome.undone ?? '',
    ...nextWords(outcome.next),
  ])) as [Completed['kind'], number, RunState, RawGrant[]];
  const goesOn = outcome.state !== 'failed' || view.isFinally(step);
  const hasMore = kind === 'accepted' && goesOn && slice.next !== '';
  if (hasMore) await advanceAll(context, run, step, slice.next);
  return { kind, ready: ready + (hasMore ? 1 : 0), runState, next: next.map((raw) => readGrant(run, raw)) };
}

function outcomeWords({ state, output, error, mayHaveActed }: Outcome): readonly ScriptArgument[] {
  return [
    outcomeBytes[state],
    output === undefined ? '' : JSON.stringify(output),
    error ? JSON.stringify(error) : '',
    mayHaveActed ? '1' : '0',
  ];
}

function nextWords(next: Outcome['next']): readonly ScriptArgument[] {
  return next
    ? [newTokens(next.count), next.worker, next.leaseMs, next.isPatient ? '1' : '0']
    : ['', '', '', ''];
}

const outcomeBytes = { succeeded: 's', failed: 'f', skipped: 'k' } as const;

/**
 * step, token, delivery, begun, now, whether it ever acted, then the texts of mem in the order r o d a A n t; a first
 * delivery has nothing of the last two.
 */
type RawGrant = [number, string, number, number, number, number?, (string | null)[]?];

function readGrant(run: string, raw: RawGrant): Grant {
  const [step, token, delivery, begunMs, nowMs, hasBegun = 0, memory = []] = raw;
  const [remembered, observed, decision, acting, output, further, retries] = memory;
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
    hasBegun: hasBegun === 1,
    ...(remembered && { remembered: JSON.parse(remembered) as Json }),
    ...(observed && { observed: JSON.parse(observed) as Json }),
    ...(decision && { decision: JSON.parse(decision) as Decision }),
    ...(output && { output: JSON.parse(output) as Json }),
  };
}

function modeOf(acting: string | null | undefined, output: string | null | undefined): Mode {
  if (acting) return 'verify';
  return output ? 'read-back' : 'act';
}

const newTokens = (count: number) => Array.from({ length: count }, newToken).join('');

/** Random bytes for so many tokens at once: asking for six of them costs as much as for a thousand. */
const tokensDrawn = 256;
const tokenBytes = 6;
let drawn = Buffer.alloc(0);
let used = 0;

/** Eight characters, 48 random bits. A counter would not do: Redis that has lost a tail would give a number twice. */
function newToken(): string {
  if (used + tokenBytes > drawn.length) {
    drawn = randomBytes(tokensDrawn * tokenBytes);
    used = 0;
  }
  used += tokenBytes;
  return drawn.toString('base64url', used - tokenBytes, used);
}
