import type { JsonObject } from '../base/json.ts';
import type { Task } from '../task/task.ts';
import type { HoldView } from './leases.ts';
import type { Job } from './workshop.ts';

/** Give the deadlines of a hold that begins, or is renewed, now: renewed at every third of its life. */
export function deadlines(task: Task, values: JsonObject, nowMs: number): Omit<HoldView, 'step'> | undefined {
  const lifeMs = task.hold && values[task.hold.life];
  if (typeof lifeMs !== 'number') return undefined;
  return { expiresMs: nowMs + lifeMs, renewMs: nowMs + Math.floor(lifeMs / 3) };
}

/** Record a hold before it is taken, so that a crash in between leaves nothing that nobody knows of. */
export async function recordHold(job: Job): Promise<void> {
  const hold = deadlines(job.task, job.values, job.now());
  if (hold) await job.shop.store.recordHold(job.grant, hold);
}

/** Record a hold that was found taken after a crash: how old it is nobody knows, so it is renewed at once. */
export async function adoptHold(job: Job): Promise<void> {
  const hold = deadlines(job.task, job.values, job.now());
  if (hold) await job.shop.store.recordHold(job.grant, { ...hold, renewMs: job.now() });
}

/** Forget a hold that was recorded and then surely not taken. */
export async function forgetHold(job: Job): Promise<void> {
  if (job.task.hold) await job.shop.store.holdReleased(job.grant);
}
