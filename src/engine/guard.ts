import type { FreezeMarker, InstanceRecord, Marked, Markers } from '../task/markers.ts';
import { isSevere } from '../task/task.ts';
import type { Tried } from './ask.ts';
import { understandThrown } from './thrown.ts';
import { frozenPollMs, type Wait } from './waits.ts';
import type { Job } from './workshop.ts';

/** Say why nothing may be acted on in a cluster now, and when to ask again. */
export type Guarded = Pick<Wait, 'reason'> & { readonly askInMs: number };

/** How often a cluster of another instance is asked: it is let go of by people, or when that instance is idle. */
const foreignPollMs = 30_000;
/**
 * A record so young is no permission yet. Ceph has no compare-and-set: two instances that both saw no record both write
 * one, and the second overwrites the first. This is longer than it takes from looking to having written, so whoever
 * still reads its own id afterwards is the only one who does.
 */
const settleMs = 5000;

/**
 * Find what forbids every act in a cluster, whatever the step: a freeze, or another instance that acts there. A cluster
 * that no instance acts on is claimed for ours first. What stops or destroys is asked about anew each time; for the rest
 * an answer may be two seconds old.
 *
 * Asked before acts only, those of undo and those that take a hold included. Renewing and giving back what is held goes
 * on while frozen: a freeze is there so that nothing more happens to the cluster, and a silence that runs out, or a flag
 * that stays set for ever, would happen to it.
 * @returns undefined where the act may go on; `error` where the cluster cannot be asked: then nothing is known, so
 *   nothing is done
 */
export async function findGuard(job: Job): Promise<Tried<Guarded | undefined>> {
  try {
    const found = await job.cluster.markers({ shared: !isSevere(job.task) });
    if (found.freeze) return { value: { reason: describeFreeze(found.freeze), askInMs: frozenPollMs } };
    return { value: await findOtherInstance(job, found) };
  } catch (thrown) {
    return { error: understandThrown(thrown) };
  }
}

async function findOtherInstance(job: Job, found: Markers): Promise<Guarded | undefined> {
  const { shop, plan } = job;
  const isClaimed = found.instance !== undefined;
  const { instance } = isClaimed ? found : await claimOnce(job);
  if (!instance || !isNamed(instance, shop.instance.instance)) {
    return { reason: describeForeign(plan.cluster, instance), askInMs: foreignPollMs };
  }
  const ageMs = job.now() - Date.parse(instance.value.since);
  // the clock is that of the store, the same for all workers of an instance; one that was set back makes nothing young
  const isYoung = !isClaimed || (ageMs >= 0 && ageMs < settleMs);
  if (!isYoung) return undefined;
  const askInMs = isClaimed ? settleMs - ageMs : settleMs;
  return { reason: `making sure that no other instance claims cluster ${plan.cluster} too`, askInMs };
}

function isNamed(
  marked: Marked<InstanceRecord>,
  instance: string,
): marked is { readonly value: InstanceRecord } {
  return 'value' in marked && marked.value.instance === instance;
}

/** Claims under way: the steps of a worker that come at once write one record, not one each. */
const claims = new WeakMap<Job['cluster'], Promise<Markers>>();

function claimOnce(job: Job): Promise<Markers> {
  const { cluster } = job;
  const claim = claims.get(cluster) ?? claimCluster(job).finally(() => claims.delete(cluster));
  claims.set(cluster, claim);
  return claim;
}

/** Write our record where there is still none; what is read back is judged by whoever asked. */
async function claimCluster({ cluster, shop, signal, now }: Job): Promise<Markers> {
  const found = await cluster.markers({ shared: false });
  if (found.instance) return found;
  const since = new Date(now()).toISOString();
  await cluster.systems.markers(signal).setInstance({ ...shop.instance, since });
  return cluster.markers({ shared: false });
}

/** Say who has frozen a cluster, since when and why, in one line. */
export function describeFreeze(marked: Marked<FreezeMarker>): string {
  if ('unreadable' in marked) {
    return `frozen: the freeze marker cannot be read (it begins: ${marked.unreadable}); find out who wrote it, then: cephflow unfreeze`;
  }
  const { by, at, reason } = marked.value;
  return `frozen by ${by} since ${moment(at)}: ${reason}`;
}

/** Say which instance acts on a cluster, in a few words. */
export function describeInstance(marked: Marked<InstanceRecord>): string {
  if ('unreadable' in marked) return `somebody whose record cannot be read (it begins: ${marked.unreadable})`;
  const { instance, host, since } = marked.value;
  return `instance ${instance} (host ${host}, since ${moment(since)})`;
}

function describeForeign(cluster: string, marked: Marked<InstanceRecord> | undefined): string {
  if (!marked) return `the record that names who acts on cluster ${cluster} was removed a moment ago`;
  return `cluster ${cluster} is acted on by ${describeInstance(marked)}: end its runs, or take over with cephflow instance take --cluster ${cluster}`;
}

const moment = (iso: string) => (Number.isNaN(Date.parse(iso)) ? iso : `${iso.slice(0, 19)}Z`);
