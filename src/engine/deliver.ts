import { CephflowError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { PlanStep } from '../plan/plan.ts';
import { fail } from './failures.ts';
import { keepLease, type Lease } from './lease.ts';
import type { LoadedTask } from './load-tasks.ts';
import { mayBeHeld, releaseHold, renewHold } from './release.ts';
import { doStep } from './step.ts';
import type { Completed, Delivery, Grant } from './store.ts';
import type { OpenCluster } from './systems.ts';
import { understandThrown } from './thrown.ts';
import { fillValues } from './values.ts';
import {
  claimNext,
  clockFrom,
  type Job,
  type RunFacts,
  stepFacts,
  takeUpDecision,
  type Workshop,
} from './workshop.ts';

/** Steps carried out one after the other without going back to the queue: then others have their turn. */
const longestChain = 100;
/** Another worker may have what this one lacks, or an operator brings it: asked again so soon. */
const otherWorkerMs = 30_000;

/**
 * Carry out one delivery: claim its step, do it, and whatever of the same run becomes ready and free meanwhile.
 * A delivery that is no longer valid is dropped.
 * @param stopping fires when the worker stops: what is under way ends, and is left so that another goes on
 */
export async function carryOut(delivery: Delivery, shop: Workshop, stopping: AbortSignal): Promise<void> {
  const { run, step } = delivery;
  if (delivery.renew) return renewHold(delivery, shop, stopping);
  const request = { run, step, delivery: delivery.delivery, worker: shop.name, leaseMs: shop.leaseMs };
  const answer = await shop.store.claim(request);
  let grant = answer.kind === 'granted' ? answer.grant : undefined;
  for (let left = longestChain; grant && left > 0; left -= 1) {
    const wantsNext = left > 1;
    const completed: Completed | undefined = await carryOutGrant(grant, shop, { stopping, wantsNext });
    if (completed && completed.ready > 0) shop.dispatch(run);
    grant = completed?.next;
  }
}

interface Manner {
  readonly stopping: AbortSignal;
  readonly wantsNext: boolean;
}

async function carryOutGrant(grant: Grant, shop: Workshop, manner: Manner): Promise<Completed | undefined> {
  const lease = keepLease(shop.store, grant, shop.leaseMs, manner.stopping);
  try {
    const run = await shop.runFacts(grant.run);
    const step = run.plan.steps[grant.step];
    if (step === undefined)
      throw new CephflowError('INTERNAL', `run ${grant.run} has no step number ${grant.step}`);
    if (step.kind === 'barrier') return await complete(grant, shop, manner);
    return await carryOutTask({ grant, shop, run, step, lease, wantsNext: manner.wantsNext });
  } finally {
    lease.end();
  }
}

function complete(grant: Grant, shop: Workshop, { wantsNext }: Manner): Promise<Completed> {
  return shop.store.complete(grant, {
    state: 'succeeded',
    acted: false,
    ...claimNext({ shop, wantsNext }),
  });
}

interface Claimed {
  readonly grant: Grant;
  readonly shop: Workshop;
  readonly run: RunFacts;
  readonly step: PlanStep;
  readonly lease: Lease;
  readonly wantsNext: boolean;
}

async function carryOutTask(claimed: Claimed): Promise<Completed | undefined> {
  const { grant, shop, run, step } = claimed;
  const { plan } = run;
  const loaded = findTask(shop, plan.tasks, step);
  const { task = '' } = step;
  const wanted = `${task}@${plan.tasks[task]?.slice(0, 12) ?? 'unknown'}`;
  if (!loaded) return waitForWorker(claimed, `no worker has ${wanted}`);
  const cluster = await tryCluster(shop, plan.cluster);
  if (cluster instanceof CephflowError) return waitForWorker(claimed, describe(cluster));
  if (step.kind === 'release' && !(await mayBeHeld(shop, grant.run, step.releases))) {
    const reason = 'nothing was taken that would have to be given back';
    return shop.store.complete(grant, { state: 'skipped', acted: false, reason });
  }
  // a release speaks for the step whose hold it gives back: same values, same name outside
  const subject = step.kind === 'release' ? (plan.steps[step.releases ?? -1] ?? step) : step;
  const filled = await fillValues({
    store: shop.store,
    run: grant.run,
    plan,
    step: subject,
    task: loaded.task,
  });
  if ('skip' in filled) {
    return shop.store.complete(grant, { state: 'skipped', acted: false, reason: filled.skip });
  }
  const values = 'values' in filled ? filled.values : {};
  const job = await openJob(claimed, loaded, { subject, values, cluster });
  if ('error' in filled) return fail(job, filled.error, grant.mode !== 'act');
  return step.kind === 'release' ? releaseHold(job) : doStep(job);
}

async function openJob(
  { grant, shop, run, step, lease, wantsNext }: Claimed,
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
    signal: lease.signal,
    wantsNext,
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

/** This worker cannot do it; the step shows why, and waits for one that can. */
async function waitForWorker({ grant, shop, lease }: Claimed, reason: string): Promise<undefined> {
  if (lease.isLost()) return undefined;
  await shop.store.park(grant, {
    untilMs: clockFrom(grant.nowMs)() + otherWorkerMs,
    waiting: { reason },
    ...(grant.observed !== undefined && { observed: grant.observed }),
  });
  return undefined;
}
