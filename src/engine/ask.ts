import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { ReadContext } from '../task/context.ts';
import type { Answer } from '../task/task.ts';
import { understandThrown } from './thrown.ts';
import { commandLock, type Job, readContext } from './workshop.ts';

/** Hold what a task said, or why it could not say it. The store's own errors are never caught here. */
export type Tried<T> = { readonly value: T } | { readonly error: CephflowError };

/** Every command has its own, shorter limit; this one is for a task's question that hangs without any. */
const questionLimitMs = 180_000;

/** Ask whether the step's goal is reached; a task without `done` has no way to know, and says undefined. */
export function askDone(job: Job, { shared }: { shared: boolean }): Promise<Tried<Answer | undefined>> {
  const { task, values } = job;
  if (!task.done) return nothing;
  return ask(job, shared, async (context) => task.done?.(values, context));
}

const nothing = Promise.resolve({ value: undefined });
const noBlockers = Promise.resolve({ value: [] });

/** Ask for reasons not to act now. */
export function askBlockers(job: Job): Promise<Tried<readonly string[]>> {
  const { task, values } = job;
  if (!task.blockers) return noBlockers;
  return ask(job, false, async (context) => (await task.blockers?.(values, context)) ?? []);
}

/** Ask what undo will need to know. */
export function askRemember(job: Job): Promise<Tried<Json | undefined>> {
  const { task, values } = job;
  return ask(job, false, async (context) => task.remember?.(values, context));
}

/**
 * Compare the cluster that answers with the one the plan was made for. Only before an act that stops or destroys it is
 * asked each time: elsewhere an answer that is two seconds old will do, since a cluster's name in the config means
 * another one only after somebody has changed it.
 */
export async function verifyCluster(job: Job, { isSevere }: { isSevere: boolean }): Promise<Tried<true>> {
  const { plan, cluster } = job;
  if (!isSevere && cluster.knows(plan.fsid)) return isTheSame;
  const shared = !isSevere;
  return ask(job, shared, async ({ ceph }) => {
    const { fsid } = await ceph.osdMap();
    cluster.learn(fsid);
    if (fsid === plan.fsid) return true as const;
    throw new CephflowError(
      'CLUSTER_MISMATCH',
      `${plan.cluster} is not the cluster this plan was made for: its fsid is ${fsid}, planned ${plan.fsid}`,
      {
        hint: `nothing was changed; look at clusters.${plan.cluster} in the config of worker ${job.shop.name}`,
      },
    );
  });
}

/** Say what still runs of what an earlier worker began on nodes; undefined where nothing does, nor can begin any more. */
export function askRunning(job: Job): Promise<Tried<string | undefined>> {
  const { cluster, nodes, signal, step } = job;
  return ask(job, false, async () => {
    for (const node of nodes) {
      const holder = await cluster.systems.findRunning(node, commandLock(job), signal);
      if (!holder) continue;
      const where = `process group ${holder.group}, lock ${holder.file}`;
      return `the command that ${step.id} began on ${node} still runs there (${where})`;
    }
    return undefined;
  });
}

const isTheSame = { value: true } as const;

async function ask<T>(
  job: Job,
  shared: boolean,
  question: (context: ReadContext) => Promise<T>,
): Promise<Tried<T>> {
  try {
    return { value: await within(job.signal, question(readContext(job, { shared }))) };
  } catch (thrown) {
    return { error: understandThrown(thrown) };
  }
}

/** Wait for an answer no longer than the limit, nor after the signal. */
function within<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => settle(() => reject(abortedBy(signal)));
    const timer = setTimeout(() => {
      const seconds = questionLimitMs / 1000;
      settle(() => reject(new CephflowError('COMMAND_TIMED_OUT', `no answer within ${seconds}s`)));
    }, questionLimitMs);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      end();
    };
    if (signal.aborted) return giveUp();
    signal.addEventListener('abort', giveUp);
    answer.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}

/** The error of a signal's reason. */
export function abortedBy(signal: AbortSignal): CephflowError {
  const { reason } = signal;
  if (reason instanceof CephflowError) return reason;
  return new CephflowError('COMMAND_ABORTED', 'the worker is stopping', { cause: reason });
}
