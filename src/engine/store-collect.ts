import type { StoreContext } from './store-context.ts';
import { redisTime } from './store-time.ts';

/** Runs looked at by one call: it is called again soon. */
const collectedAtOnce = 20;
/** What a client has written of a run that it never began is thrown away after this. */
const draftLifeMs = 3_600_000;

/** Throw away runs that ended longer ago than they are kept, and drafts. @returns how many */
export async function collect(
  context: StoreContext,
  collectRun: (run: string, epoch: number) => Promise<unknown>,
  epoch: number,
): Promise<number> {
  const { keys } = context;
  const nowMs = await redisTime(context);
  const old = await oldRuns(context, nowMs);
  const drafts = await before(context, keys.drafts, nowMs - draftLifeMs);
  let gone = 0;
  for (const run of [...old, ...drafts.map(([draft]) => draft)]) {
    if ((await collectRun(run, epoch)) === 'gone') gone += 1;
  }
  return gone;
}

async function oldRuns(context: StoreContext, nowMs: number): Promise<readonly string[]> {
  const { redis, keys, ask, retention } = context;
  const { succeededMs, otherMs } = retention;
  const old: string[] = [];
  for (const [run, endedMs] of await before(context, keys.ended, nowMs - Math.min(succeededMs, otherMs))) {
    const state = await ask(redis.hget(keys.ofRun(run, 'meta'), 'state'));
    if (endedMs <= nowMs - (state === 'succeeded' ? succeededMs : otherMs)) old.push(run);
  }
  return old;
}

async function before(
  { redis, ask }: StoreContext,
  key: string,
  latestMs: number,
): Promise<readonly (readonly [run: string, atMs: number])[]> {
  const asked = redis.zrangebyscore(key, '-inf', latestMs, 'WITHSCORES', 'LIMIT', 0, collectedAtOnce);
  const flat = await ask(asked);
  return flat.flatMap((run, at) => (at % 2 === 0 ? [[run, Number(flat[at + 1])] as const] : []));
}
