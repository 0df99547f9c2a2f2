import type { Delivery, StoreFlow, Ticked } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { loadLeadScript } from './store-scripts.ts';
import { sliceOf } from './store-shape.ts';

/** Things handled by one tick: some tens of milliseconds of Redis' time, so that leadership is renewed in time. */
const tickLimit = 1000;
/** What could not be handled is tried again after this, so that it does not keep the leader busy. */
const againMs = 5000;

/** Make the calls of dispatchers and of the leader. */
export function storeFlow(context: StoreContext): StoreFlow {
  const { redis, keys, ask } = context;
  const lead = loadLeadScript(redis, keys);
  return {
    takeReady: async (run) => {
      const args = [context.window, context.lowWater, context.resendMs];
      const flat = (await context.call('take', run, args)) as (string | number)[];
      const deliveries: Delivery[] = [];
      for (let at = 0; at < flat.length; at += 2) {
        deliveries.push({ run, step: Number(flat[at]), delivery: Number(flat[at + 1]) });
      }
      return deliveries;
    },
    runsToDispatch: () => ask(redis.smembers(keys.outbox)),
    tick: (options) => tick(context, options),
    lead: async (id, ttlMs) => Number(await lead(id, ttlMs)) || undefined,
    resign: async (id) => {
      await lead(id, 0);
    },
  };
}

type TickOptions = Parameters<StoreFlow['tick']>[0];

async function tick(context: StoreContext, options: TickOptions): Promise<Ticked> {
  const { redis, keys, ask } = context;
  const [seconds = 0, micros = 0] = (await ask(redis.time())).map(Number);
  const nowMs = seconds * 1000 + Math.floor(micros / 1000);
  const members = await ask(
    redis.zrangebyscore(keys.timers, '-inf', nowMs, 'LIMIT', 0, options.limit ?? tickLimit),
  );
  const answers = await Promise.allSettled(members.map((member) => handleDue(context, member, options)));
  const handled = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = members.filter((_, at) => answers[at]?.status === 'rejected');
  // GT: another time that was set meanwhile stays
  for (const member of failed) await ask(redis.zadd(keys.timers, 'XX', 'GT', nowMs + againMs, member));
  const [, nextDue] = await ask(redis.zrange(keys.timers, 0, 0, 'WITHSCORES'));
  return {
    isFenced: handled.includes('fenced'),
    renewals: handled.filter((one) => typeof one === 'object'),
    runs: await ask(redis.smembers(keys.outbox)),
    faults: answers.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])),
    nextDueMs: nextDue === undefined ? undefined : Number(nextDue),
    nowMs,
  };
}

async function handleDue(
  context: StoreContext,
  member: string,
  { epoch, isQueued }: TickOptions,
): Promise<Delivery | 'fenced' | undefined> {
  const [run = '', index, hold = ''] = member.split('|');
  const step = Number(index);
  const call = async (queued: string) =>
    (await context.call('due', run, [step, hold, epoch, queued, context.resendMs])) as [string, unknown];
  const [kind, value] = await call('');
  if (kind === 'fenced') return 'fenced';
  if (kind === 'renew') return { run, step, delivery: Number(value), renew: true };
  if (kind === 'ask') await call((await isQueued({ run, step, delivery: Number(value) })) ? '1' : '0');
  if (kind === 'advance') await advanceAll(context, run, step, String(value));
  return undefined;
}

/** Count all further slices of an ended step's successors down, beginning at a cursor. */
export async function advanceAll(
  context: StoreContext,
  run: string,
  step: number,
  cursor: string,
): Promise<void> {
  const { shape } = await context.plan(run);
  let at = cursor;
  while (at !== '') {
    const slice = sliceOf(shape, step, Number(at));
    const done = await context.call('advance', run, [step, at, slice.list, slice.next]);
    if (done !== 1) return;
    at = slice.next;
  }
}
