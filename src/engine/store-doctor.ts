import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Actor, StoreFinding } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { checkPlaces } from './store-doctor-places.ts';
import { type Evidence, readEvidence } from './store-doctor-read.ts';
import { examineRest, repairRest } from './store-doctor-rest.ts';
import { type Diagnosis, expectedOf, type Fix, isOver } from './store-doctor-rules.ts';
import { checkLeft, checkLocks, checkPlans, checkSets, checkSize } from './store-doctor-shared.ts';
import { checkCounters, checkProgress, checkTimers } from './store-doctor-steps.ts';
import type { PlanView } from './store-plan.ts';
import { refusedControl } from './store-refusal.ts';
import type { ScriptArgument } from './store-scripts.ts';

/** A run that changes between examining and mending is examined again so often; what was mended is too. */
const repairTries = 20;
/** Longest pause before that: with some luck nothing of the run ends meanwhile. */
const pauseMs = 50;
/** Sentences that the audit tells. */
const textsAudited = 5;

/** Say what is wrong with a run; with '', with all that is no unfinished run's. */
export function examine(context: StoreContext, run: string): Promise<readonly StoreFinding[]> {
  return run === '' ? examineRest(context, (one) => examineRun(context, one)) : examineRun(context, run);
}

/** Mend what `examine` finds. @returns how many findings. @throws CONTROL_REFUSED */
export function repair(context: StoreContext, run: string, actor: Actor): Promise<number> {
  return run === ''
    ? repairRest(context, actor, (one) => repairRun(context, one, actor))
    : repairRun(context, run, actor);
}

async function examineRun(context: StoreContext, run: string): Promise<readonly StoreFinding[]> {
  const evidence = await readEvidence(context, run);
  return Promise.all([...diagnose(evidence)].map((one) => tell(evidence, one)));
}

function* diagnose(evidence: Evidence): Generator<Diagnosis> {
  const { view, meta } = evidence;
  yield* checkSets(evidence);
  yield* checkLocks(evidence, view);
  if (meta['state'] === undefined) return;
  yield* checkPlans(evidence, view);
  if (isOver(evidence)) yield* checkLeft(evidence);
  else if (view) yield* checkSteps(evidence, view);
}

function* checkSteps(evidence: Evidence, view: PlanView): Generator<Diagnosis> {
  yield* checkSize(evidence, view);
  // counters that belong to other steps would be mended to nonsense
  if (evidence.states.length !== view.size) return;
  const expected = expectedOf(evidence, view);
  yield* checkCounters(evidence, view, expected);
  yield* checkProgress(evidence, view, expected);
  yield* checkTimers(evidence);
  yield* checkPlaces(evidence, expected);
}

async function tell({ run, view }: Evidence, { fix, text, ...rest }: Diagnosis): Promise<StoreFinding> {
  const numbers = [...text.matchAll(/\{(\d+)\}/g)].map(([, number]) => Number(number));
  let told = text;
  for (const number of numbers) {
    const step = await view?.step(number).catch(() => undefined);
    told = told.replaceAll(`{${number}}`, step?.id ?? `step ${number}`);
  }
  return { run, ...rest, text: told, canRepair: fix.length > 0 };
}

async function repairRun(context: StoreContext, run: string, actor: Actor): Promise<number> {
  let mended = 0;
  let hasMoved = false;
  for (let left = repairTries; left > 0; left -= 1) {
    const evidence = await readEvidence(context, run);
    const curable = [...diagnose(evidence)].filter(({ fix }) => fix.length > 0);
    if (curable.length === 0) return mended;
    const [kind, count] = await callRepair(context, evidence, { curable, actor });
    hasMoved = kind === 'moved';
    if (hasMoved) await sleep(Math.random() * pauseMs);
    else if (count === 0) return mended;
    else mended += curable.length;
  }
  if (!hasMoved) return mended;
  throw refusedControl(
    'repair',
    run,
    undefined,
    'its steps end faster than it can be examined; pause it first',
  );
}

/** Fields of meta that a counter depends on, in the order of lua/repair.lua. */
const guarded = ['state', 'mainLeft', 'finallyLeft', 'failed', 'sweep', 'swept', 'undo', 'parts'];

async function callRepair(
  context: StoreContext,
  evidence: Evidence,
  { curable, actor }: { readonly curable: readonly Diagnosis[]; readonly actor: Actor },
): Promise<['ok' | 'moved', number]> {
  const { run, states, dep, meta } = evidence;
  const sums = [sha1(states), sha1(dep)];
  const guard = guarded.map((field) => meta[field] ?? '').join(' ');
  const told = await Promise.all(curable.slice(0, textsAudited).map((one) => tell(evidence, one)));
  const more = curable.length > told.length ? [`${curable.length - told.length} more`] : [];
  const reason = [actor.reason, [...told.map(({ text }) => text), ...more].join('; ')]
    .filter(Boolean)
    .join(': ');
  const orders = [...uniqueFixes(curable)].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  const words = orders.flatMap(([op, first = '', second = '']): ScriptArgument[] => [op, first, second]);
  const answer = await context.call('repair', run, [...sums, guard, actor.by, reason, ...words]);
  return answer as ['ok' | 'moved', number];
}

/** Many findings may be mended by one order. */
function uniqueFixes(curable: readonly Diagnosis[]): Iterable<Fix> {
  const fixes = curable.flatMap(({ fix }) => fix);
  return new Map(fixes.map((fix) => [fix[0] === 'dep' ? 'dep' : fix.join(' '), fix])).values();
}

const sha1 = (bytes: string | Buffer) => createHash('sha1').update(bytes).digest('hex');

/** First the counters, then who stands where by them, then what follows from all. */
const order: readonly Fix[0][] = [
  ...[
    'dep',
    'part',
    'meta',
    'place',
    'uncut',
    'unwait',
    'pending',
    'unready',
    'state',
    'send',
    'ready',
    'ask',
  ],
  ...['timer', 'keep', 'uses', 'free-lock', 'free-act', 'take-lock', 'take-act', 'start', 'set', 'end'],
];
