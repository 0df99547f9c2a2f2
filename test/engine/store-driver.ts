import { isEndedRun, type RunState } from '../../src/run/states.ts';
import type { Rig } from './store-rig.ts';

/** More rounds than any run of these tests needs. */
const mostRounds = 60;
const me = { by: 'test' };

/**
 * Let a run come to its end as workers, a leader and a patient person would bring it there: only what is sent is claimed,
 * only what has a timer comes due, whoever asks is answered, what failed is retried. @returns how it ended
 */
export async function drive(rig: Rig, run: string): Promise<string> {
  for (let left = mostRounds; left > 0; left -= 1) {
    const state = await rig.runState(run);
    if (isEndedRun(state as RunState)) return state;
    if (state === 'paused') await rig.store.resume(run, me);
    if (state === 'failed') await rig.store.retry(run, undefined, me);
    const isToDispatch = (await rig.store.runsToDispatch()).includes(run);
    for (const { step, delivery } of isToDispatch ? await rig.store.takeReady(run) : []) {
      const answer = await rig.store.claim({ run, step, delivery, worker: 'driver', leaseMs: 1e9 });
      if (answer.kind === 'granted')
        await rig.store.complete(answer.grant, { state: 'succeeded', acted: true });
    }
    await answerAll(rig, run);
    await letTimePass(rig, run);
  }
  return `${await rig.runState(run)}: ${await rig.states(run)}`;
}

async function answerAll({ store }: Rig, run: string): Promise<void> {
  for (const { step, state, waiting, decision } of (await store.snapshot(run)).views) {
    if (state !== 'waiting' || waiting?.question === undefined) continue;
    if (decision) await store.wake(run, step);
    else await store.decide(run, step, { verdict: 'approved', comment: '', by: 'test' });
  }
}

/** All that is due of the run some day is due now. */
async function letTimePass({ redis, prefix, store }: Rig, run: string): Promise<void> {
  const timers = await redis.zrange(`${prefix}:timers`, 0, -1);
  for (const name of timers.filter((one) => one.startsWith(`${run}|`) && !one.endsWith('|d'))) {
    await redis.zadd(`${prefix}:timers`, 'XX', 0, name);
  }
  await store.tick({ epoch: 1_000_000, isQueued: async () => false });
}
