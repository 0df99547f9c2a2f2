import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { askRedis } from './redis.ts';

const scripts = [
  'create',
  'claim',
  'note',
  'complete',
  'advance',
  'park',
  'due',
  'take',
  'control',
  'act-lock',
  'hold',
] as const;

/** Name a script of a run, after its file in lua/. */
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
  readonly schema: string;
  readonly leader: string;
  readonly epoch: string;
  plan(hash: string): string;
  ofRun(run: string, name: string): string;
}

/** Spell the keys of a store. */
export function storeKeys(prefix: string): StoreKeys {
  return {
    timers: `${prefix}:timers`,
    outbox: `${prefix}:outbox`,
    runs: `${prefix}:runs`,
    unfinished: `${prefix}:unfinished`,
    schema: `${prefix}:schema`,
    leader: `${prefix}:leader`,
    epoch: `${prefix}:leader-epoch`,
    plan: (hash) => `${prefix}:plan:${hash}`,
    ofRun: (run, name) => `${prefix}:{${run}}:${name}`,
  };
}

/** Load the scripts from lua/ beside this module (a build copies them) and give the function that calls them. */
export function loadScripts(redis: Redis, keys: StoreKeys): CallScript {
  const common = readScript('common');
  for (const script of scripts) {
    redis.defineCommand(commandOf(script), { numberOfKeys: 3, lua: `${common}\n${readScript(script)}` });
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

function runScript(redis: Redis, script: string, args: readonly ScriptArgument[]): Promise<unknown> {
  const commands = redis as unknown as Record<
    string,
    (...args: readonly ScriptArgument[]) => Promise<unknown>
  >;
  return askRedis(redis, commands[commandOf(script)]?.(...args));
}

const commandOf = (script: string) => `cephflow${script.replaceAll('-', '')}`;

const readScript = (name: string) => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
