import { isEndedRun, type RunState } from '../run/states.ts';
import type { Actor, StoreFinding } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { actFsids } from './store-doctor-read.ts';
import { readHolder } from './store-steps.ts';

/** Runs read by one pipeline. */
const runsAtOnce = 500;

/** Say what is left of runs that are over or unknown, and which plans are counted wrong. */
export async function examineRest(
  context: StoreContext,
  examineRun: (run: string) => Promise<readonly StoreFinding[]>,
): Promise<readonly StoreFinding[]> {
  const found: StoreFinding[] = [];
  const seen = await readRuns(context);
  for (const run of suspectsOf(seen)) found.push(...(await examineRun(run)));
  for (const [key, { is, shouldBe }] of await miscounted(context, seen)) {
    const text = `the plan ${key} is said to be used by ${is} runs, and ${shouldBe} use it`;
    found.push({ run: '', kind: 'plan', is: String(is), shouldBe: String(shouldBe), text, canRepair: true });
  }
  return found;
}

/** Mend what `examineRest` finds. @returns how many findings */
export async function repairRest(
  context: StoreContext,
  { by, reason = '' }: Actor,
  repairRun: (run: string) => Promise<number>,
): Promise<number> {
  const seen = await readRuns(context);
  let mended = 0;
  for (const run of suspectsOf(seen)) mended += await repairRun(run);
  const wrong = [...(await miscounted(context, seen))];
  if (wrong.length === 0) return mended;
  const orders = wrong.flatMap(([key, { is, shouldBe }]) => ['uses', key, `${is}|${shouldBe}`]);
  const words = [emptySum, emptySum, noMarks, by, reason, ...orders];
  const [, count] = (await context.call('repair', '', words)) as [string, number];
  return mended + count;
}

/** What the script sees of a run that is none: SHA-1 of nothing, and eight fields that are not there. */
const emptySum = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';
const noMarks = ' '.repeat(7);

interface SeenRun {
  readonly state: string | undefined;
  readonly planKeys: readonly string[];
  readonly holds: number;
}

interface SeenRuns {
  readonly runs: ReadonlyMap<string, SeenRun>;
  readonly unfinished: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
  readonly queued: ReadonlySet<string>;
  /** Runs that hold a lock, or of which a step does. */
  readonly holders: ReadonlySet<string>;
}

async function readRuns(context: StoreContext): Promise<SeenRuns> {
  const { redis, keys, ask } = context;
  const [listed, unfinished, ended, queued] = await Promise.all([
    ask(redis.zrange(keys.runs, 0, -1)),
    ask(redis.smembers(keys.unfinished)),
    ask(redis.zrange(keys.ended, 0, -1)),
    ask(redis.smembers(keys.queued)),
  ]);
  const holders = await readHolders(context);
  const runs = new Map<string, SeenRun>();
  const all = [...new Set([...listed, ...unfinished, ...ended, ...queued, ...holders])];
  for (let from = 0; from < all.length; from += runsAtOnce) {
    const some = all.slice(from, from + runsAtOnce);
    for (const [at, seen] of (await readSome(context, some)).entries()) runs.set(some[at] ?? '', seen);
  }
  return {
    runs,
    unfinished: new Set(unfinished),
    ended: new Set(ended),
    queued: new Set(queued),
    holders: new Set(holders),
  };
}

async function readHolders(context: StoreContext): Promise<readonly string[]> {
  const { redis, keys, ask } = context;
  const found: string[] = [];
  for (const name of await ask(redis.smembers(keys.locks))) {
    found.push(...(await ask(redis.hkeys(keys.lock(name)))));
  }
  for (const fsid of await actFsids(context)) found.push((await ask(redis.get(keys.act(fsid)))) ?? '');
  return found.filter((holder) => holder !== '').map((holder) => readHolder(holder).run);
}

async function readSome(
  { redis, keys, ask }: StoreContext,
  runs: readonly string[],
): Promise<readonly SeenRun[]> {
  const reads = redis.pipeline();
  for (const run of runs) {
    reads.hmget(keys.ofRun(run, 'meta'), 'state', 'planKey', 'parts').hlen(keys.ofRun(run, 'holds'));
  }
  const answers = ((await ask(reads.exec())) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  return runs.map((_, at) => {
    const [state, planKey, parts] = answers[2 * at] as (string | null)[];
    const grown = parts ? (JSON.parse(parts) as { readonly key: string }[]) : [];
    return {
      state: state ?? undefined,
      planKeys: planKey ? [planKey, ...grown.map(({ key }) => key)] : [],
      holds: Number(answers[2 * at + 1]),
    };
  });
}

/** Unfinished runs that stand where they belong are examined one by one by whoever asks. */
function suspectsOf({ runs, unfinished, ended, queued, holders }: SeenRuns): readonly string[] {
  const isSuspect = ([run, { state, holds }]: [string, SeenRun]) => {
    if (state === undefined) return true;
    if (!isEndedRun(state as RunState)) return !unfinished.has(run);
    return holds > 0 || holders.has(run) || unfinished.has(run) || queued.has(run) || !ended.has(run);
  };
  return [...runs].filter(isSuspect).map(([run]) => run);
}

/** A run that begins or goes meanwhile looks like a mistake: only what is wrong twice is one. */
async function miscounted(context: StoreContext, seen: SeenRuns) {
  const first = await compareUses(context, seen);
  if (first.size === 0) return first;
  const second = await compareUses(context, await readRuns(context));
  return new Map(
    [...first].filter(([key, { is, shouldBe }]) => {
      const again = second.get(key);
      return again?.is === is && again.shouldBe === shouldBe;
    }),
  );
}

async function compareUses({ redis, keys, ask }: StoreContext, { runs }: SeenRuns) {
  const counted = await ask(redis.hgetall(keys.plans));
  const uses = new Map<string, number>();
  for (const { planKeys } of runs.values()) {
    for (const key of planKeys) uses.set(key, (uses.get(key) ?? 0) + 1);
  }
  const all = new Set([...Object.keys(counted), ...uses.keys()]);
  return new Map(
    [...all].flatMap((key) => {
      const [is, shouldBe] = [Number(counted[key] ?? 0), uses.get(key) ?? 0];
      return is === shouldBe ? [] : [[key, { is, shouldBe }] as const];
    }),
  );
}
