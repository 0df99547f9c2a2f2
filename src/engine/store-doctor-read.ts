import type { StoreContext } from './store-context.ts';
import { openPlanView, type PlanView, type RunParts } from './store-plan.ts';
import type { Texts } from './store-views.ts';

/** Fields of one HMGET, members of one ZMSCORE: some milliseconds of Redis' time. */
const fieldsAtOnce = 3000;
/** A run that goes on while it is looked at is looked at again so often; then what moved just now is not judged. */
const readTries = 4;

/** Show a lock as it is stored: holder -> since, and who waits. Holders and waiters are `run|step` or `run|`. */
interface StoredLock {
  readonly holders: Texts;
  readonly waiters: readonly string[];
}

/** Hold all that the store has about one run, at one moment. lua/common.lua says what each key means. */
export interface Evidence {
  readonly run: string;
  readonly nowMs: number;
  /** Empty: there is no such run. */
  readonly meta: Texts;
  /** Undefined where a part of the plan is not in the store. */
  readonly view: PlanView | undefined;
  readonly states: string;
  readonly part: string;
  readonly dep: Buffer;
  readonly dlv: Buffer;
  readonly times: Buffer;
  readonly rdy: Buffer;
  /** Ready steps of another priority or queue. */
  readonly rdyx: ReadonlySet<number>;
  readonly sent: ReadonlySet<number>;
  readonly stopped: ReadonlySet<number>;
  /** Step -> group that it waits for. */
  readonly waiters: ReadonlyMap<number, number>;
  readonly cut: ReadonlyMap<number, number>;
  readonly places: Texts;
  readonly placesof: Texts;
  readonly special: Texts;
  readonly holds: Texts;
  /** Steps of which timers and memory were read: all that are neither pending nor ended. */
  readonly judged: ReadonlySet<number>;
  /** Name after `<run>|` -> due. */
  readonly timers: ReadonlyMap<string, number>;
  /** `<step>:<letter>`, of q l L. */
  readonly mem: ReadonlyMap<string, string>;
  readonly locks: ReadonlyMap<string, StoredLock>;
  /** fsid -> holder of its act lock, and who waits for it. */
  readonly acts: ReadonlyMap<string, { readonly holder: string | null; readonly waiters: readonly string[] }>;
  readonly isIn: Readonly<Record<RunSet, boolean>>;
  /** Whose lock a person took away: numbers of steps, '' for the run's own. */
  readonly unlocked: ReadonlySet<string>;
  readonly plans: readonly PlanEvidence[];
}

/** Name a set that runs stand in. */
export type RunSet = 'unfinished' | 'runs' | 'ended' | 'drafts' | 'queued' | 'outbox';

/** Say how one part of a run's plan is kept. */
interface PlanEvidence {
  readonly key: string;
  readonly fields: number;
  /** Seconds until it is thrown away; -1 for ever, -2 gone. */
  readonly lifeSeconds: number;
  /** Runs that are said to use it. */
  readonly uses: number;
}

/** What must be known before the one consistent read: which fields to ask for. */
interface Scouted {
  readonly parts: string;
  readonly view: PlanView | undefined;
  readonly planKeys: readonly string[];
  readonly candidates: ReadonlySet<number>;
  readonly timerNames: readonly string[];
  readonly lockNames: readonly string[];
  readonly fsids: readonly string[];
}

/** Read all about a run, known or not, in one transaction. */
export async function readEvidence(context: StoreContext, run: string): Promise<Evidence> {
  for (let left = readTries; ; left -= 1) {
    const scouted = await scout(context, run);
    const evidence = await readAll(context, run, scouted);
    const isSame = (evidence.meta['parts'] ?? '') === scouted.parts;
    const isWhole = candidatesOf(evidence.states, evidence.cut.keys()).every((one) =>
      evidence.judged.has(one),
    );
    // a run that grew meanwhile must be looked at again; it cannot do so for ever
    if (isSame && (isWhole || left <= 1)) return evidence;
    if (left <= -readTries) throw new Error(`run ${run} grows faster than it can be examined`);
  }
}

/** Steps that may have a timer or a memory. */
function candidatesOf(states: string, cut: Iterable<number>): readonly number[] {
  const found = [...cut];
  for (let step = 0; step < states.length; step += 1) {
    if ('rRw?f'.includes(states[step] ?? '')) found.push(step);
  }
  return found;
}

async function scout(context: StoreContext, run: string): Promise<Scouted> {
  const { redis, keys, ask } = context;
  const key = (name: string) => keys.ofRun(run, name);
  const [meta, states, cut, holds, lockNames] = await Promise.all([
    ask(redis.hmget(key('meta'), 'planKey', 'parts')),
    ask(redis.get(key('st'))),
    ask(redis.hkeys(key('cut'))),
    ask(redis.hkeys(key('holds'))),
    ask(redis.smembers(keys.locks)),
  ]);
  const [planKey, parts] = meta;
  const grown = parts ? (JSON.parse(parts) as RunParts['grown']) : [];
  const view = planKey ? await openView(context, { planKey, grown }) : undefined;
  const candidates = new Set(candidatesOf(states ?? '', cut.map(Number)));
  for (const name of lockNames) {
    for (const holder of await ask(redis.hkeys(keys.lock(name)))) {
      const [other, step] = holder.split('|');
      if (other === run && step) candidates.add(Number(step));
    }
  }
  return {
    parts: parts ?? '',
    view,
    planKeys: planKey ? [planKey, ...grown.map((one) => one.key)] : [],
    candidates,
    timerNames: ['s', 'd', ...[...candidates].map(String), ...holds.map((step) => `${step}|h`)],
    lockNames,
    fsids: view ? [view.head.fsid] : await actFsids(context),
  };
}

function openView({ redis, ask }: StoreContext, parts: RunParts): Promise<PlanView | undefined> {
  return openPlanView((key, fields) => ask(redis.hmgetBuffer(key, ...fields)), parts).catch((thrown) => {
    if ((thrown as { code?: string }).code === 'INTERNAL') return undefined;
    throw thrown;
  });
}

/** Find the clusters whose act lock is held. There is no list of them, and only a doctor wants one. */
export async function actFsids({ redis, keys, ask }: StoreContext): Promise<readonly string[]> {
  const found = new Set<string>();
  let cursor = '0';
  do {
    const [next, names] = await ask(redis.scan(cursor, 'MATCH', `${keys.act('')}*`, 'COUNT', 1000));
    for (const name of names) {
      if (!name.endsWith(':waiters')) found.add(name.slice(keys.act('').length));
    }
    cursor = next;
  } while (cursor !== '0');
  return [...found];
}

type Answers = ReadonlyMap<string, unknown>;

async function readAll(context: StoreContext, run: string, scouted: Scouted): Promise<Evidence> {
  const { redis, keys, ask } = context;
  const reads = redis.multi();
  const names = [
    ...readRun(reads, (name) => keys.ofRun(run, name)),
    ...readMembership(reads, context, run),
    ...readDetails(reads, context, { run, ...scouted }),
  ];
  const answers = new Map<string, unknown>();
  for (const [at, [error, value]] of ((await ask(reads.exec())) ?? []).entries()) {
    if (error) throw error;
    answers.set(names[at] ?? '', value);
  }
  return evidenceOf(run, scouted, answers);
}

type Reads = ReturnType<StoreContext['redis']['multi']>;

const hashes = ['meta', 'cut', 'places', 'placesof', 'special', 'holds'] as const;
const texts = ['st', 'part'] as const;
const packed = ['dep', 'dlv', 'times', 'rdy'] as const;

function readRun(reads: Reads, key: (name: string) => string): readonly string[] {
  for (const name of hashes) reads.hgetall(key(name));
  for (const name of texts) reads.get(key(name));
  for (const name of packed) reads.getBuffer(key(name));
  reads.zrange(key('rdyx'), 0, -1).smembers(key('sent')).smembers(key('stopped'));
  reads.zrange(key('waiters'), 0, -1, 'WITHSCORES').xrange(key('audit'), '-', '+').time();
  return [...hashes, ...texts, ...packed, 'rdyx', 'sent', 'stopped', 'waiters', 'audit', 'time'];
}

function readMembership(reads: Reads, { keys }: StoreContext, run: string): readonly string[] {
  reads.sismember(keys.unfinished, run).zscore(keys.runs, run).zscore(keys.ended, run);
  reads.zscore(keys.drafts, run).sismember(keys.queued, run).sismember(keys.outbox, run);
  return ['unfinished', 'runs', 'ended', 'drafts', 'queued', 'outbox'].map((set) => `in ${set}`);
}

function readDetails(
  reads: Reads,
  { keys }: StoreContext,
  { run, candidates, timerNames, lockNames, fsids, planKeys }: Scouted & { readonly run: string },
): readonly string[] {
  const names: string[] = [];
  for (const [at, fields] of slices(timerNames).entries()) {
    reads.zmscore(keys.timers, ...fields.map((name) => `${run}|${name}`));
    names.push(`timers ${at}`);
  }
  for (const [at, fields] of slices(memFields(candidates)).entries()) {
    reads.hmget(keys.ofRun(run, 'mem'), ...fields);
    names.push(`mem ${at}`);
  }
  for (const name of lockNames) {
    reads.hgetall(keys.lock(name)).zrange(`${keys.lock(name)}:waiters`, 0, -1);
    names.push(`holders ${name}`, `waiters ${name}`);
  }
  for (const fsid of fsids) {
    reads.get(keys.act(fsid)).zrange(`${keys.act(fsid)}:waiters`, 0, -1);
    names.push(`act ${fsid}`, `act waiters ${fsid}`);
  }
  for (const key of planKeys) {
    reads.hlen(key).ttl(key).hget(keys.plans, key);
    names.push(`fields ${key}`, `life ${key}`, `uses ${key}`);
  }
  return names;
}

function slices(names: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(names.length / fieldsAtOnce);
  return Array.from({ length: count }, (_, at) => names.slice(at * fieldsAtOnce, (at + 1) * fieldsAtOnce));
}

const memFields = (candidates: ReadonlySet<number>) =>
  [...candidates].flatMap((step) => [`${step}:q`, `${step}:l`, `${step}:L`]);

function evidenceOf(run: string, scouted: Scouted, answers: Answers): Evidence {
  const { view, candidates, timerNames, planKeys, lockNames, fsids } = scouted;
  const hash = (name: string) => (answers.get(name) ?? {}) as Texts;
  const text = (name: string) => (answers.get(name) as string | null) ?? '';
  const bytes = (name: string) => (answers.get(name) as Buffer | null) ?? Buffer.alloc(0);
  const list = (name: string) => (answers.get(name) ?? []) as string[];
  const numbers = (name: string) => new Set(list(name).map(Number));
  const isIn = (set: RunSet) => ![null, 0].includes(answers.get(`in ${set}`) as null | 0);
  const [seconds = 0, micros = 0] = list('time').map(Number);
  return {
    run,
    nowMs: seconds * 1000 + Math.floor(micros / 1000),
    meta: hash('meta'),
    view,
    states: text('st'),
    part: text('part'),
    ...{ dep: bytes('dep'), dlv: bytes('dlv'), times: bytes('times'), rdy: bytes('rdy') },
    ...{ rdyx: numbers('rdyx'), sent: numbers('sent'), stopped: numbers('stopped') },
    waiters: pairsOf(list('waiters')),
    cut: new Map(Object.entries(hash('cut')).map(([step, cursor]) => [Number(step), Number(cursor)])),
    ...{ places: hash('places'), placesof: hash('placesof'), special: hash('special'), holds: hash('holds') },
    judged: candidates,
    timers: new Map([...found(answers, 'timers', timerNames)].map(([name, due]) => [name, Number(due)])),
    mem: found(answers, 'mem', memFields(candidates)),
    locks: new Map(
      lockNames.map((name) => [name, { holders: hash(`holders ${name}`), waiters: list(`waiters ${name}`) }]),
    ),
    acts: new Map(
      fsids.map((fsid) => [
        fsid,
        { holder: answers.get(`act ${fsid}`) as string | null, waiters: list(`act waiters ${fsid}`) },
      ]),
    ),
    isIn: {
      ...{ unfinished: isIn('unfinished'), runs: isIn('runs'), ended: isIn('ended') },
      ...{ drafts: isIn('drafts'), queued: isIn('queued'), outbox: isIn('outbox') },
    },
    unlocked: unlockedIn(answers.get('audit') as [string, string[]][]),
    plans: planKeys.map((key) => ({
      key,
      fields: Number(answers.get(`fields ${key}`)),
      lifeSeconds: Number(answers.get(`life ${key}`)),
      uses: Number(answers.get(`uses ${key}`) ?? 0),
    })),
  };
}

/** What was found of names that were asked for in slices. */
function found(answers: Answers, kind: string, names: readonly string[]): ReadonlyMap<string, string> {
  const values = slices(names).flatMap((_, at) => answers.get(`${kind} ${at}`) as (string | null)[]);
  return new Map(
    names.flatMap((name, at) => {
      const value = values[at];
      return value === null || value === undefined ? [] : [[name, value] as const];
    }),
  );
}

/** Members of a group are counted in 32 bits: a waiter's score is group * this + member (lua/places.lua). */
const groupScore = 2 ** 32;

function pairsOf(flat: readonly string[]): ReadonlyMap<number, number> {
  const pairs = new Map<number, number>();
  for (let at = 0; at < flat.length; at += 2) {
    pairs.set(Number(flat[at]), Math.floor(Number(flat[at + 1]) / groupScore));
  }
  return pairs;
}

function unlockedIn(audit: readonly [string, readonly string[]][]): ReadonlySet<string> {
  const taken = audit.filter(([, fields]) => fields[1] === 'unlock');
  return new Set(taken.map(([, fields]) => fields[7] ?? ''));
}
