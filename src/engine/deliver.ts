import { performance } from 'node:perf_hooks';
import { CephflowError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { PlanStep } from '../plan/plan.ts';
import { fail } from './failures.ts';
import { growRun } from './grow.ts';
import type { ClaimAnswer, ClaimRequest, Completed, Grant } from './leases.ts';
import type { LoadedTask } from './load-tasks.ts';
import { mayBeHeld, releaseHold, renewHold } from './release.ts';
import { doStep } from './step.ts';
import type { Delivery } from './store.ts';
import type { OpenCluster } from './systems.ts';
import { understandThrown } from './thrown.ts';
import { undoStep } from './undo.ts';
import { fillValues } from './values.ts';
import { waitForTask, waitForWorker } from './waits.ts';
import {
  type Claimed,
  claimNext,
  clockFrom,
  type Job,
  type Patience,
  stepFacts,
  takeUpDecision,
  type Workshop,
} from './workshop.ts';

/** Steps carried out one after the other without going back to the queue: its place in BullMQ is not for ever. */
const longestChain = 200;
/** ... and for so long also while other runs wait for a worker: going back to the queue costs more than a short step. */
const patienceMs = 100;

/** Be the hands of a worker for one cluster. BullMQ's handlers have one each; what is free may take up more steps. */
export interface Crew {
  /** Take all that are free. */
  borrow(): number;
  /** Give some back that were not used. */
  giveBack(count: number): void;
  /** Let a borrowed hand do this; it is free again at its end. */
  begin(work: () => Promise<void>): void;
}

/** Nobody but the one who carries the delivery out. */
const noCrew: Crew = {
  borrow: () => 0,
  giveBack: () => undefined,
  begin: (work) => void work(),
};

/**
 * Carry out one delivery: claim its step, do it, and whatever of the same run becomes ready and free meanwhile, with all
 * hands that are free. A delivery that is no longer valid is dropped.
 */
export async function carryOut(
  delivery: Delivery,
  shop: Workshop,
  stopping: AbortSignal,
  crew: Crew = noCrew,
): Promise<void> {
  const { run, step } = delivery;
  if (delivery.renew) return renewHold(delivery, shop, stopping);
  const more = shop.takesUsual && !shop.isDraining() ? crew.borrow() : 0;
  const asked = { run, step, delivery: delivery.delivery, worker: shop.name, leaseMs: shop.leaseMs, more };
  const answer = await claimOrGiveBack(asked, shop, crew);
  if (answer.kind !== 'granted') return crew.giveBack(more);
  handOut(answer.more, more, { shop, crew });
  await goOn(answer.grant, shop, crew);
}

async function claimOrGiveBack(asked: ClaimRequest, shop: Workshop, crew: Crew): Promise<ClaimAnswer> {
  try {
    return await shop.store.claim(asked);
  } catch (thrown) {
    crew.giveBack(asked.more ?? 0);
    throw thrown;
  }
}

/** Let borrowed hands take up the steps that were claimed for them. */
function handOut(
  grants: readonly Grant[],
  borrowed: number,
  { shop, crew }: { readonly shop: Workshop; readonly crew: Crew },
): void {
  for (const grant of grants) crew.begin(() => goOn(grant, shop, crew));
  crew.giveBack(borrowed - grants.length);
}

/** Do a step, and step after step of its run after it. */
async function goOn(first: Grant, shop: Workshop, crew: Crew): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  let grant: Grant | undefined = first;
  for (let left = longestChain; grant && left > 0; left -= 1) {
    let borrowed = 0;
    const borrow = () => {
      borrowed = crew.borrow();
      return borrowed;
    };
    const patience = { wantsNext: left > 1, untilMs, borrow };
    const { run }: Grant = grant;
    const completed: Completed | undefined = await carryOutGrant(grant, shop, patience).catch(
      (thrown: unknown) => {
        crew.giveBack(borrowed);
        throw thrown;
      },
    );
    if (completed && completed.ready > 0) shop.dispatch(run);
    const [next, ...others]: readonly Grant[] = completed?.next ?? [];
    handOut(others, borrowed, { shop, crew });
    grant = next;
  }
}

async function carryOutGrant(
  grant: Grant,
  shop: Workshop,
  patience: Patience,
): Promise<Completed | undefined> {
  const lease = shop.leases.keep(grant);
  try {
    const run = await shop.runFacts(grant.run);
    const step = await shop.store.step(grant.run, grant.step);
    if (step === undefined)
      throw new CephflowError('INTERNAL', `run ${grant.run} has no step number ${grant.step}`);
    if (step.kind === 'barrier') return await complete(grant, shop, patience);
    const claimed = { grant, shop, run, step, lease, patience };
    if (step.kind === 'expand') return await growRun(claimed);
    return await carryOutTask(claimed);
  } finally {
    lease.end();
  }
}

function complete(grant: Grant, shop: Workshop, patience: Patience): Promise<Completed> {
  return shop.store.complete(grant, {
    state: 'succeeded',
    acted: false,
    ...claimNext({ shop, patience }),
  });
}

/** A release or an undo speaks for the step that it gives back or takes back: same values, same name outside. */
async function subjectOf({ shop, grant, step }: Claimed): Promise<PlanStep> {
  const of = step.kind === 'release' ? step.releases : step.undoes;
  return (of === undefined ? undefined : await shop.store.step(grant.run, of)) ?? step;
}

async function carryOutTask(claimed: Claimed): Promise<Completed | undefined> {
  const { grant, shop, run, step } = claimed;
  const { plan } = run;
  const loaded = findTask(shop, plan.tasks, step);
  if (!loaded) return waitForTask(claimed, step.task ?? '');
  const cluster = await tryCluster(shop, plan.cluster);
  if (cluster instanceof CephflowError) return waitForWorker(claimed, describe(cluster));
  if (step.kind === 'release' && !(await mayBeHeld(shop, grant.run, step.releases))) {
    const reason = 'nothing was taken that would have to be given back';
    return shop.store.complete(grant, { state: 'skipped', acted: false, reason });
  }
  const subject = step.kind === 'task' ? step : await subjectOf(claimed);
  const filled = await fillValues({ store: shop.store, run: grant.run, step: subject, task: loaded.task });
  if ('skip' in filled) {
    return shop.store.complete(grant, { state: 'skipped', acted: false, reason: filled.skip });
  }
  const values = 'values' in filled ? filled.values : {};
  const job = await openJob(claimed, loaded, { subject, values, cluster });
  if ('error' in filled) return fail(job, filled.error, grant.mode !== 'act');
  if (step.kind === 'release') return releaseHold(job);
  return step.kind === 'undo' ? undoStep(job) : doStep(job);
}

async function openJob(
  { grant, shop, run, step, lease, patience }: Claimed,
  { task }: LoadedTask,
  { subject, values, cluster }: { subject: PlanStep; values: JsonObject; cluster: OpenCluster },
): Promise<Job> {
  const { observed, verdict } = takeUpDecision(grant);
  // kept at once, so that the answer of a person is taken up once, whatever happens next
  if (verdict !== undefined) await shop.store.observe(grant, observed, { decisionTaken: true });
  return {
    shop,
    plan: run.plan,
    step,
    task,
    values,
    grant,
    observed,
    nodes: new Set(observed.nodes),
    verdict,
    facts: stepFacts(grant.run, subject, run),
    cluster,
    get signal() {
      return lease.signal;
    },
    patience,
    now: clockFrom(grant.nowMs),
  };
}

function findTask(
  { tasks }: Workshop,
  pinned: Readonly<Record<string, string>>,
  { task = '' }: PlanStep,
): LoadedTask | undefined {
  const loaded = tasks.get(task);
  return loaded?.hash === pinned[task] ? loaded : undefined;
}

async function tryCluster(shop: Workshop, name: string): Promise<OpenCluster | CephflowError> {
  try {
    return await shop.cluster(name);
  } catch (thrown) {
    return understandThrown(thrown);
  }
}

const describe = ({ code, message }: CephflowError) => `${code}: ${message}`;
