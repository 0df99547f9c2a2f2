import { askRunning } from './ask.ts';
import { failQuestion } from './failures.ts';
import type { Completed } from './leases.ts';
import { hasBegun, waitOn } from './waits.ts';
import type { Job } from './workshop.ts';

/** Commands on nodes take seconds to minutes: asked again so often whether one has ended. */
const runningPollMs = 5000;

/**
 * Wait for what an earlier worker began on nodes, before anything is asked of the cluster: an answer given while it
 * still runs says nothing about what it will have done. A node that does not answer is waited for too.
 * @returns undefined where nothing runs and nothing that was begun earlier can begin any more
 */
export async function waitForRunning(
  job: Job,
): Promise<{ readonly ended: Completed | undefined } | undefined> {
  if (job.grant.mode === 'read-back' || job.nodes.size === 0) return undefined;
  const running = await askRunning(job);
  if ('error' in running) return { ended: await failQuestion(job, running.error) };
  if (running.value === undefined) return undefined;
  const { observed } = job;
  const wait = { reason: running.value, observed, askInMs: runningPollMs, mayHaveActed: hasBegun(job) };
  return { ended: await waitOn(job, wait) };
}
