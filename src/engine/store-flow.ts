import type { Delivery, StoreFlow, Ticked } from './store.ts';
import { collect } from './store-collect.ts';
import type { StoreContext } from './store-context.ts';
import { loadCollectScript, loadLeadScript } from './store-scripts.ts';
import { sliceOf } from './store-shape.ts';
import { redisTime } from './store-time.ts';

/** Things handled by one tick: some tens of milliseconds of Redis' time, so that leadership is renewed in time. */
const tickLimit = 2000;
/** ... and by one script. */
const dueAtOnce = 64;
/** What could not be handled is tried again after this, so that it does not keep the leader busy. */
const againMs = 5000;
/** Make the calls of dispatchers and of the leader. */
export function storeFlow(context: StoreContext): StoreFlow {
  const { redis, keys, ask } = context;
  const lead = loadLeadScript(redis, keys);
  const collectRun = loadCollectScript(redis, keys);
  return {
    takeReady: (run) => takeReady(context, run),
    runsToDispatch: () => ask(redis.smembers(keys.outbox)),
    tick: (options) => tick(context, options),
    lead: async (id, ttlMs) => Number(await lead(id, ttlMs)) || undefined,
    resign: async (id) => {
      await lead(id, 0);
    },
    collect: (epoch) => collect(context, collectRun, epoch),
  };
}

/** A step's priority goes before the turns of so many others. */
const turnsOfPriority = 5000;
const highestPriority = 100;

async function takeReady(context: StoreContext, run: string): Promise<readonly Delivery[]> {
  const args = [context.window, context.lowWater, context.resendMs];
  const [before = 0, ...flat] = (await context.call('take', run, args)) as (string | number)[];
  const deliveries: Delivery[] = [];
  for (let at = 0; at < flat.length; at += 4) {
    const [step, delivery, queue, priority] = flat.slice(at, at + 4);
    const place = Number(before) + at / 4 + 1;
    deliveries.push({
      run,
      step: Number(step),
      delivery: Number(delivery),
      turn: place + (highestPriority - Number(priority)) * turnsOfPriority,
      ...(queue !== '' && { queue: String(queue) }),
    });
  }
  return deliveries;
}

type TickOptions = Parameters<StoreFlow['tick']>[0];

async function tick(context: StoreContext, options: TickOptions): Promise<Ticked> {
  const { redis, keys, ask } = context;
  const nowMs = await redisTime(context);
  const limit = options.limit ?? tickLimit;
  const members = await ask(redis.zrangebyscore(keys.timers, '-inf', nowMs, 'LIMIT', 0, limit));
  const batches = batchesOf(members);
  const answers = await Promise.allSettled(batches.map((batch) => handleDue(context, batch, options)));
  const handled = answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  const failed = batches.flatMap(({ run, names }, at) =>
    answers[at]?.status === 'rejected' ? names.map((name) => `${run}|${name}`) : [],
  );
  // GT: another time that was set meanwhile stays
  for (const member of failed) await ask(redis.zadd(keys.timers, 'XX', 'GT', nowMs + againMs, member));
  const [, nextDue] = await ask(redis.zrange(keys.timers, 0, 0, 'WITHSCORES'));
  return {
    isFenced: handled.includes('fenced'),
    renewals: handled.flatMap((one) => (typeof one === 'object' && 'renew' in one ? [one] : [])),
    overdue: handled.flatMap((one) => (typeof one === 'object' && 'overdue' in one ? [one.overdue] : [])),
    runs: await ask(redis.smembers(keys.outbox)),
    faults: answers.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])),
    nextDueMs: nextDue === undefined ? undefined : Number(nextDue),
    nowMs,
  };
}

interface DueBatch {
  readonly run: string;
  /** `step`, `step|h` for its hold, `s` for a sweep, `d` for the deadline. */
  readonly names: readonly string[];
}

function batchesOf(members: readonly string[]): readonly DueBatch[] {
  const byRun = new Map<string, string[]>();
  for (const member of members) {
    const end = member.indexOf('|');
    const run = member.slice(0, end);
    const names = byRun.get(run) ?? [];
    names.push(member.slice(end + 1));
    byRun.set(run, names);
  }
  return [...byRun].flatMap(([run, names]) =>
    Array.from({ length: Math.ceil(names.length / dueAtOnce) }, (_, at) => ({
      run,
      names: names.slice(at * dueAtOnce, (at + 1) * dueAtOnce),
    })),
  );
}

type Handled = Delivery | { readonly overdue: string } | 'fenced' | undefined;

async function handleDue(
  context: StoreContext,
  { run, names }: DueBatch,
  { epoch, isQueued }: TickOptions,
): Promise<readonly Handled[]> {
  const call = async (pairs: readonly string[]) =>
    (await context.call('due', run, [epoch, context.resendMs, ...pairs])) as 'fenced' | [string, unknown][];
  const answers = await call(names.flatMap((name) => [name, '']));
  if (answers === 'fenced') return ['fenced'];
  const handled: Handled[] = [];
  for (const [at, [kind, value]] of answers.entries()) {
    const step = Number.parseInt(names[at] ?? '', 10);
    handled.push(...handOn(kind, { run, step, delivery: Number(value) }));
    if (kind === 'sweep') await sweepAll(context, run);
    if (kind === 'ask') {
      const isThere = await isQueued({
        run,
        step,
        delivery: Number(value),
        ...(await queueOf(context, run, step)),
      });
      await call([names[at] ?? '', isThere ? '1' : '0']);
    }
    if (kind === 'advance') await advanceAll(context, run, step, String(value));
  }
  return handled;
}

/** What is not for the store to do. */
function handOn(kind: string, delivery: Delivery): readonly Handled[] {
  if (kind === 'renew') return [{ ...delivery, renew: true }];
  return kind === 'deadline' ? [{ overdue: delivery.run }] : [];
}

async function queueOf({ redis, keys, ask }: StoreContext, run: string, step: number) {
  const special = await ask(redis.hget(keys.ofRun(run, 'special'), String(step)));
  const queue = special?.split('|')[1];
  return queue ? { queue } : {};
}

/** Cancel all that has not begun of a run that is ending, slice by slice. */
export async function sweepAll(context: StoreContext, run: string): Promise<void> {
  for (let hasMore = true; hasMore; ) {
    const [, , more] = (await context.call('control', run, ['sweep', '', '', '', '', '', ''])) as [
      string,
      number,
      number,
    ];
    hasMore = more === 1;
  }
}

/** Count all further slices of an ended step's successors down, beginning at a cursor. */
export async function advanceAll(
  context: StoreContext,
  run: string,
  step: number,
  cursor: string,
): Promise<void> {
  const { shape } = await context.view(run, step + 1);
  let at = cursor;
  while (at !== '') {
    const slice = sliceOf(shape, step, Number(at));
    const done = await context.call('advance', run, [step, at, slice.list, slice.next]);
    if (done !== 1) return;
    at = slice.next;
  }
}
