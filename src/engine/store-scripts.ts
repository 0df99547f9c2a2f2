import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { askRedis } from './redis.ts';

/** Libraries in the order in which they need one another. */
const libraries = ['common', 'ready', 'places', 'locks', 'flow'] as const;

/** Scripts of a run, each after its file in lua/. */
const scripts = [
  'create',
  'steps',
  'advance',
  'due',
  'take',
  'control',
  'redo',
  'undo',
  'expand',
  'hold',
  'repair',
] as const;

/** Name a script of a run. */
type Script = (typeof scripts)[number];

/** Be an argument of a script; packed strings travel as buffers. */
export type ScriptArgument = string | number | Buffer;

/** Call a script of a run; KEYS and result are told at the head of its file. */
export type CallScript = (script: Script, run: string, args: readonly ScriptArgument[]) => Promise<unknown>;

/** Hold the keys of one store. Only the store and its scripts know them. */
export interface StoreKeys {
  readonly timers: string;
  readonly outbox: string;
  readonly runs: string;
  readonly unfinished: string;
  readonly ended: string;
  /** Runs that have deliveries nobody has claimed. */
  readonly queued: string;
  readonly drafts: string;
  readonly plans: string;
  readonly locks: string;
  readonly schema: string;
  readonly leader: string;
  readonly epoch: string;
  readonly audit: string;
  /** Workers that are there: name -> what they do, and when they last said so. */
  readonly workers: string;
  /** Channel that tells the ids of killed runs. */
  readonly killed: string;
  plan(hash: string): string;
  lock(name: string): string;
  /** The one lock of a cluster for acts that stop or destroy. */
  act(fsid: string): string;
  ofRun(run: string, name: string): string;
}

/** Spell the keys of a store. */
export function storeKeys(prefix: string): StoreKeys {
  return {
    timers: `${prefix}:timers`,
    outbox: `${prefix}:outbox`,
    runs: `${prefix}:runs`,
    unfinished: `${prefix}:unfinished`,
    ended: `${prefix}:ended`,
    queued: `${prefix}:queued`,
    drafts: `${prefix}:drafts`,
    plans: `${prefix}:plans`,
    locks: `${prefix}:locks`,
    schema: `${prefix}:schema`,
    leader: `${prefix}:leader`,
    epoch: `${prefix}:leader-epoch`,
    audit: `${prefix}:audit`,
    workers: `${prefix}:workers`,
    killed: `${prefix}:killed`,
    plan: (hash) => `${prefix}:plan:${hash}`,
    lock: (name) => `${prefix}:lock:${name}`,
    act: (fsid) => `${prefix}:act:${fsid}`,
    ofRun: (run, name) => `${prefix}:{${run}}:${name}`,
  };
}

/** Load the scripts from lua/ beside this module (a build copies them) and give the function that calls them. */
export function loadScripts(redis: Redis, keys: StoreKeys): CallScript {
  const shared = libraries.map(readScript).join('\n');
  for (const script of scripts) {
    redis.defineCommand(commandOf(script), { numberOfKeys: 3, lua: `${shared}\n${readScript(script)}` });
  }
  return (script, run, args) =>
    runScript(redis, script, [keys.ofRun(run, 'meta'), keys.timers, keys.outbox, ...args]);
}

/** Load the script of leadership, which belongs to no run. */
export function loadLeadScript(
  redis: Redis,
  keys: StoreKeys,
): (id: string, ttlMs: number) => Promise<unknown> {
  redis.defineCommand(commandOf('lead'), { numberOfKeys: 2, lua: readScript('lead') });
  return (id, ttlMs) => runScript(redis, 'lead', [keys.leader, keys.epoch, id, ttlMs]);
}

/** Load the script that writes a part of a plan which no run uses yet. */
export function loadDraftScript(
  redis: Redis,
  keys: StoreKeys,
): (key: string, words: readonly ScriptArgument[]) => Promise<unknown> {
  redis.defineCommand(commandOf('draft'), { numberOfKeys: 2, lua: readScript('draft') });
  return (key, words) => runScript(redis, 'draft', [key, keys.plans, ...words]);
}

/** Load the script that throws a run away. */
export function loadCollectScript(
  redis: Redis,
  keys: StoreKeys,
): (run: string, epoch: number) => Promise<unknown> {
  redis.defineCommand(commandOf('collect'), { numberOfKeys: 2, lua: readScript('collect') });
  return (run, epoch) =>
    runScript(redis, 'collect', [keys.ofRun(run, 'meta'), keys.timers, epoch, runKeys.join(' ')]);
}

/** Names of all keys that a run may have; lua/common.lua says what is in them. */
const runKeys = [
  ...['meta', 'st', 'dep', 'dlv', 'tok', 'times', 'part', 'rdy', 'did', 'out', 'mem'],
  ...['places', 'placesof', 'special', 'holds', 'cut', 'requests', 'rdyx', 'waiters', 'sent', 'stopped'],
  ...['ev', 'audit'],
];

function runScript(redis: Redis, script: string, args: readonly ScriptArgument[]): Promise<unknown> {
  const commands = redis as unknown as Record<
    string,
    (...args: readonly ScriptArgument[]) => Promise<unknown>
  >;
  return askRedis(redis, commands[commandOf(script)]?.(...args));
}

const commandOf = (script: string) => `cephflow${script}`;

const readScript = (name: string) => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
