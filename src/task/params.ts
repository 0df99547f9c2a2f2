import { parseDuration } from '../base/duration.ts';
import { isJsonObject, type Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import type { ContactTarget, NodeTarget, OsdTarget } from './targets.ts';

/** The kinds of values that tasks and playbooks take. `node` and `osd` are frozen identities, not names. */
export const paramKinds = [
  'node',
  'osd',
  'osds',
  'hostname',
  'devices',
  'contact',
  'text',
  'number',
  'integer',
  'boolean',
  'duration',
  'choice',
  'json',
] as const;

/** Name one of the kinds of parameter. */
export type ParamKind = (typeof paramKinds)[number];

/**
 * Declare one parameter. The same data serves validation, `--help`, the plan and the screen.
 * `about`: a phrase for people; `min`, `max`: bounds of numbers; `choices`: of kind choice; `default`: a written value.
 * `T` is the type a task sees; it exists for the compiler only.
 */
export interface Param<T = unknown> {
  readonly kind: ParamKind;
  readonly about: string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly default?: Json;
  readonly optional?: boolean;
  /** Carries T for inference; never present at run time. */
  readonly is?: T;
}

/** Declare the parameters of a task or playbook by name. */
export type Params = Readonly<Record<string, Param>>;

/** Give the types of the values that a task sees for its declared parameters. */
export type ValuesOf<P extends Params> = { readonly [K in keyof P]: P[K] extends Param<infer T> ? T : never };

interface Bounds {
  readonly min?: number;
  readonly max?: number;
  readonly default?: number;
}

/** Take a host of the CRUSH map, frozen with its OSDs. */
export const node = (about: string): Param<NodeTarget> => ({ kind: 'node', about });
/** Take one OSD, frozen with uuid and host. */
export const osd = (about: string): Param<OsdTarget> => ({ kind: 'osd', about });
/** Take several OSDs, each frozen. */
export const osds = (about: string): Param<readonly OsdTarget[]> => ({ kind: 'osds', about });
/** Take the name of a host that need not be known to Ceph yet. */
export const hostname = (about: string): Param<string> => ({ kind: 'hostname', about });
/** Take `all`, or a list of device paths on a host. */
export const devices = (
  about: string,
  defaults: { default?: 'all' } = {},
): Param<'all' | readonly string[]> => ({ kind: 'devices', about, ...defaults });
/** Take the name of a contact of the config. */
export const contact = (about: string): Param<ContactTarget> => ({ kind: 'contact', about });
/** Take a text. */
export const text = (about: string, more: { default?: string } = {}): Param<string> => ({
  kind: 'text',
  about,
  ...more,
});
/** Take a number within bounds. */
export const number = (about: string, bounds: Bounds = {}): Param<number> => ({
  kind: 'number',
  about,
  ...bounds,
});
/** Take a whole number within bounds. */
export const integer = (about: string, bounds: Bounds = {}): Param<number> => ({
  kind: 'integer',
  about,
  ...bounds,
});
/** Take true or false. */
export const boolean = (about: string, more: { default?: boolean } = {}): Param<boolean> => ({
  kind: 'boolean',
  about,
  ...more,
});
/** Take a duration such as `12h`; the task sees milliseconds. */
export const duration = (about: string, more: { default?: string } = {}): Param<number> => ({
  kind: 'duration',
  about,
  ...more,
});
/** Take one of some words. */
export const choice = <const C extends string>(
  about: string,
  choices: readonly C[],
  more: { default?: C } = {},
): Param<C> => ({ kind: 'choice', about, choices, ...more });

/** Take anything that JSON can hold, such as what earlier steps returned. */
export const json = (about: string): Param<Json> => ({ kind: 'json', about });

/** Hold a value as a task sees it, or say in words what was expected instead. */
export type Reading = { readonly value: Json } | { readonly expected: string };

/**
 * Read a value as its kind demands. Idempotent for all kinds but `duration`, which turns text into milliseconds once.
 * Identities (`node`, `osd`) are checked for their shape only: the plan resolves names against the cluster before this.
 */
export function readParam(param: Param, value: Json | undefined): Reading {
  if (value === undefined) {
    if (param.default !== undefined) return readers[param.kind](param.default, param);
    return param.optional ? { value: null } : { expected: `a value (${param.kind}: ${param.about})` };
  }
  return readers[param.kind](value, param);
}

/** RFC 1123 label(s): what both CRUSH and ssh take without quoting. */
const hostnamePattern = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$/;
/** Absolute, without whitespace or shell characters: it becomes a word of a command on a node. */
const devicePattern = /^\/[A-Za-z0-9/_.:+@=-]+$/;

type Reader = (value: Json, param: Param) => Reading;

const readers: Record<ParamKind, Reader> = {
  node: (value) =>
    isJsonObject(value) && typeof value['name'] === 'string' && Array.isArray(value['osds'])
      ? { value }
      : { expected: 'a node of the cluster' },
  osd: (value) => (isOsdTarget(value) ? { value } : { expected: 'an OSD of the cluster' }),
  osds: (value) =>
    Array.isArray(value) && value.every(isOsdTarget)
      ? { value }
      : { expected: 'a list of OSDs of the cluster' },
  hostname: (value) =>
    typeof value === 'string' && hostnamePattern.test(value) ? { value } : { expected: 'a host name' },
  devices: readDevices,
  contact: (value) => {
    if (typeof value === 'string') return { value: { contact: value } };
    return isJsonObject(value) && typeof value['contact'] === 'string'
      ? { value }
      : { expected: 'the name of a contact' };
  },
  text: (value) => (typeof value === 'string' ? { value } : { expected: 'a text' }),
  number: (value, param) => readNumber(value, param, 'a number'),
  integer: (value, param) =>
    typeof value === 'string' || Number.isInteger(value)
      ? readNumber(value, param, 'a whole number', Number.isInteger)
      : { expected: 'a whole number' },
  boolean: (value) => {
    if (value === 'true' || value === 'false') return { value: value === 'true' };
    return typeof value === 'boolean' ? { value } : { expected: 'true or false' };
  },
  duration: (value) => {
    if (typeof value === 'number') return { value };
    const ms = typeof value === 'string' ? parseDuration(value) : undefined;
    return ms === undefined ? { expected: 'a duration such as 30s, 10m, 12h or 2d' } : { value: ms };
  },
  choice: (value, param) => {
    const choices = param.choices ?? [];
    if (typeof value === 'string' && choices.includes(value)) return { value };
    const guess = typeof value === 'string' ? didYouMean(value, choices) : '';
    return { expected: `one of ${choices.join(', ')}.${guess}` };
  },
  json: (value) => ({ value }),
};

function isOsdTarget(value: Json): boolean {
  return isJsonObject(value) && Number.isInteger(value['id']) && typeof value['uuid'] === 'string';
}

function readDevices(value: Json): Reading {
  if (value === 'all') return { value };
  const list = typeof value === 'string' ? value.split(',') : value;
  const good =
    Array.isArray(list) &&
    list.length > 0 &&
    list.every((path) => typeof path === 'string' && devicePattern.test(path));
  return good ? { value: list as Json } : { expected: 'all, or absolute device paths separated by commas' };
}

function readNumber(
  value: Json,
  param: Param,
  what: string,
  fits: (n: number) => boolean = Number.isFinite,
): Reading {
  const given = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = param;
  if (typeof given === 'number' && fits(given) && given >= min && given <= max) return { value: given };
  const least = param.min === undefined ? '' : ` of at least ${param.min}`;
  const most = param.max === undefined ? '' : `${least === '' ? ' of' : ' and'} at most ${param.max}`;
  return { expected: `${what}${least}${most}` };
}
