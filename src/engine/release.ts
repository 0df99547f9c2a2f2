import { CephflowError } from '../base/errors.ts';
import type { ActContext } from '../task/context.ts';
import { withinActLimit } from './act-limit.ts';
import { failAct } from './failures.ts';
import { deadlines } from './holds.ts';
import type { Completed, HoldView } from './leases.ts';
import { waitForRunning } from './running.ts';
import type { Delivery } from './store.ts';
import type { PlanHead } from './store-plan.ts';
import type { OpenCluster } from './systems.ts';
import { understandThrown } from './thrown.ts';
import { fillValues } from './values.ts';
import { actContext, clockFrom, type Job, stepFacts, type Workshop } from './workshop.ts';

/** Give back what a step held. */
export async function releaseHold(job: Job): Promise<Completed | undefined> {
  const { grant, shop, task, values, signal } = job;
  const running = await waitForRunning(job);
  if (running) return running.ended;
  try {
    await withinActLimit(task, signal, async (limited) =>
      task.hold?.release(values, actContext(job, limited, undefined)),
    );
  } catch (thrown) {
    // releasing twice is harmless: the next try begins anew
    return failAct(job, understandThrown(thrown), { mayHaveActed: false });
  }
  return shop.store.complete(grant, { state: 'succeeded', acted: true });
}

/** Tell whether a step may hold something: one that never acted leaves nothing to give back. */
export async function mayBeHeld(
  { store }: Workshop,
  run: string,
  step: number | undefined,
): Promise<boolean> {
  if (step === undefined) return false;
  const { hold, hasBegun } = await store.holdOf({ run, step });
  return hasBegun || hold !== undefined;
}

/** A hold that could not be renewed is tried again after this part of what is left of its life. */
const renewAgainShare = 10;
/** ... but not more often than this, and not more rarely. */
const renewAgainMs = { least: 1000, most: 60_000 };

/** Holds that each worker is renewing. The leader asks again for one that takes long: it must not take a second slot. */
const underWay = new WeakMap<Workshop, Set<string>>();

/**
 * Renew the hold of a step, unless this worker is at it already. Failing to do so fails nothing: it is tried again until the hold runs out, and after that.
 * Ceph need not answer: the silence over a cluster that is down is wanted most of all.
 */
export async function renewHold(delivery: Delivery, shop: Workshop, stopping: AbortSignal): Promise<void> {
  const renewing = underWay.get(shop) ?? new Set();
  underWay.set(shop, renewing);
  const name = `${delivery.run}|${delivery.step}`;
  if (renewing.has(name)) return;
  renewing.add(name);
  try {
    await renewOnce(delivery, shop, stopping);
  } finally {
    renewing.delete(name);
  }
}

async function renewOnce(delivery: Delivery, shop: Workshop, stopping: AbortSignal): Promise<void> {
  const { hold: held, nowMs } = await shop.store.holdOf(delivery);
  if (!held) return;
  const now = clockFrom(nowMs);
  const renewal = await openRenewal(delivery, shop, { signal: stopping, now });
  const fault = 'fault' in renewal ? renewal.fault : await tryHold(() => renewal.renew());
  const hold = `hold of step ${delivery.step} of run ${delivery.run}`;
  if (fault) shop.log(`${hold} was not renewed: ${fault.message}`);
  const next = fault || 'fault' in renewal ? tryAgainSoon(held, now()) : (renewal.next() ?? held);
  const isKept = await shop.store.holdRenewed(delivery, next);
  if (isKept || 'fault' in renewal) return;
  // the run ended meanwhile and gave it back: we have just taken it anew, perhaps also where no answer told so
  const left = await tryHold(() => renewal.release());
  if (left) shop.log(`${hold} is left over: ${left.message}`);
}

function tryAgainSoon({ expiresMs }: HoldView, nowMs: number): Omit<HoldView, 'step'> {
  const share = (expiresMs - nowMs) / renewAgainShare;
  const inMs = Math.min(renewAgainMs.most, Math.max(renewAgainMs.least, share));
  return { expiresMs, renewMs: Math.round(nowMs + inMs) };
}

async function tryHold(act: () => Promise<void>): Promise<CephflowError | undefined> {
  try {
    await act();
    return undefined;
  } catch (thrown) {
    return understandThrown(thrown);
  }
}

interface Renewal {
  renew(): Promise<void>;
  release(): Promise<void>;
  next(): Omit<HoldView, 'step'> | undefined;
}

async function openRenewal(
  { run, step: index }: Delivery,
  shop: Workshop,
  { signal, now }: { signal: AbortSignal; now: () => number },
): Promise<Renewal | { readonly fault: CephflowError }> {
  const facts = await shop.runFacts(run);
  const { plan } = facts;
  const step = await shop.store.step(run, index);
  const loaded = shop.tasks.get(step?.task ?? '');
  if (!step || !loaded || loaded.hash !== plan.tasks[loaded.task.name])
    return { fault: new CephflowError('TASK_MISSING', `no worker has ${step?.task ?? `step ${index}`}`) };
  const { task } = loaded;
  const filled = await fillValues({ store: shop.store, run, step, task });
  if ('skip' in filled) return { fault: new CephflowError('INTERNAL', filled.skip) };
  if ('error' in filled) return { fault: filled.error };
  const { values } = filled;
  const cluster = await shop.cluster(plan.cluster);
  const other = await otherCluster(cluster, plan);
  if (other) return { fault: other };
  const context = (limited: AbortSignal): ActContext => {
    // a renewal has no lease: the worst of two at once is a hold that is renewed twice
    const lock = { name: `${run}/${step.id}/renewal`, turn: 0 };
    const systems = cluster.systems.act(limited, { lock, before: async () => undefined });
    return {
      ceph: systems.ceph,
      machine: (node) => systems.machine(node),
      monitoring: systems.monitoring,
      people: systems.people,
      step: stepFacts(run, step, facts),
      decision: undefined,
      nowMs: now(),
      signal: limited,
      remembered: undefined,
      log: shop.log,
    };
  };
  const within = (act: (limited: AbortSignal) => Promise<void>) => withinActLimit(task, signal, act);
  return {
    renew: () => within(async (limited) => task.hold?.renew(values, context(limited))),
    release: () => within(async (limited) => task.hold?.release(values, context(limited))),
    next: () => deadlines(task, values, now()),
  };
}

/** A cluster that answers must be the plan's; one that does not answer is no reason to let a hold run out. */
async function otherCluster({ shared }: OpenCluster, plan: PlanHead): Promise<CephflowError | undefined> {
  const map = await shared.osdMap().catch(() => undefined);
  if (map === undefined || map.fsid === plan.fsid) return undefined;
  const what = `${plan.cluster} is not the cluster this plan was made for: its fsid is ${map.fsid}`;
  return new CephflowError('CLUSTER_MISMATCH', what);
}
