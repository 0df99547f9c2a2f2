import { isJsonObject, type Json } from '../base/json.ts';
import type { ParamKind } from '../task/params.ts';

/** Types of the expression language that a kind of parameter has there. `Osd`, `Node`, `Contact` are ours. */
const typeOfKind: Readonly<Record<ParamKind, string>> = {
  node: 'Node',
  osd: 'Osd',
  osds: 'list<Osd>',
  hostname: 'string',
  devices: 'dyn',
  contact: 'Contact',
  text: 'string',
  number: 'double',
  integer: 'int',
  boolean: 'bool',
  duration: 'int',
  choice: 'string',
  json: 'dyn',
};

/** Which types a task's parameter of a kind takes; names of nodes and OSDs are looked up in the cluster. */
const fittingTypes: Readonly<Record<ParamKind, readonly string[]>> = {
  node: ['Node', 'string'],
  osd: ['Osd', 'string', 'int'],
  osds: ['list<Osd>', 'list<string>', 'list<int>', 'list'],
  hostname: ['string'],
  devices: ['string', 'list<string>', 'list'],
  contact: ['Contact', 'string'],
  text: ['string'],
  number: ['double', 'int'],
  integer: ['int'],
  boolean: ['bool'],
  duration: ['int', 'string'],
  choice: ['string'],
  json: [],
};

/** Fields of the identities that a plan freezes. */
export const fieldsOfType: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Place: { type: 'string', name: 'string' },
  Osd: {
    id: 'int',
    name: 'string',
    uuid: 'string',
    node: 'string',
    weight: 'double',
    device_class: 'string',
    serial: 'string',
  },
  Node: { name: 'string', osds: 'list<Osd>', location: 'list<Place>' },
  Contact: { contact: 'string' },
};

/** Give the type that values of a kind have in expressions. A duration is an int of milliseconds. */
export function celTypeOf(kind: ParamKind): string {
  return typeOfKind[kind];
}

/** Tell whether a value of this type may fit a parameter of this kind; `dyn` is known only when it is there. */
export function fitsKind(type: string, kind: ParamKind): boolean {
  return type === 'dyn' || kind === 'json' || fittingTypes[kind].includes(type);
}

/** Give the type of a list's elements; undefined for what is no list. */
export function elementType(type: string): string | undefined {
  if (type === 'dyn' || type === 'list') return 'dyn';
  return /^list<(.*)>$/.exec(type)?.[1];
}

/** Write a type for people. */
export function describeType(type: string): string {
  const words: Readonly<Record<string, string>> = {
    Node: 'a node',
    Osd: 'an OSD',
    Contact: 'a contact',
    string: 'a text',
    int: 'a whole number',
    double: 'a number',
    bool: 'true or false',
    'list<Osd>': 'a list of OSDs',
    'google.protobuf.Timestamp': 'a time stamp',
    null_type: 'nothing',
  };
  return words[type] ?? (type.startsWith('list') ? 'a list' : type);
}

/** Be a value inside the expression language: JSON with whole numbers of type int as bigint. */
export type CelValue = unknown;

/**
 * Bring a JSON value into the expression language. Declared ints become ints and declared doubles stay doubles; where
 * nothing is declared (`dyn`: outputs of steps, literal lists) whole numbers become ints.
 */
export function toCel(value: Json, type: string): CelValue {
  if (typeof value === 'number') {
    return type !== 'double' && Number.isSafeInteger(value) ? BigInt(value) : value;
  }
  if (Array.isArray(value)) return value.map((item: Json) => toCel(item, elementType(type) ?? 'dyn'));
  if (isJsonObject(value)) {
    const fields = fieldsOfType[type] ?? {};
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, toCel(item, fields[key] ?? 'dyn')]),
    );
  }
  return value;
}

/** What leaves the expression language: JSON, or in words why it is none. */
export type Left = { readonly value: Json } | { readonly fault: string };

/** Bring a value out of the expression language. Only what JSON holds exactly may leave. */
export function fromCel(value: CelValue): Left {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return { value };
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number)
      ? { value: number }
      : { fault: `the whole number ${value} is beyond 2^53: JSON cannot keep it exactly` };
  }
  if (typeof value === 'number') {
    return Number.isFinite(value) ? { value } : { fault: `${value} is no number that JSON can hold` };
  }
  if (Array.isArray(value)) return leaveList(value);
  if (value instanceof Map) return leaveMap([...value.entries()]);
  if (isPlainObject(value)) return leaveMap(Object.entries(value));
  return {
    fault: `${nameOf(value)} is nothing that JSON can hold: expected text, numbers, lists or mappings`,
  };
}

function leaveList(items: readonly unknown[]): Left {
  const left = items.map(fromCel);
  const fault = left.find((one) => 'fault' in one);
  return fault ?? { value: left.flatMap((one) => ('value' in one ? [one.value] : [])) };
}

function leaveMap(entries: readonly (readonly [unknown, unknown])[]): Left {
  const values: Record<string, Json> = {};
  for (const [key, item] of entries) {
    const left = fromCel(item);
    if ('fault' in left) return left;
    values[String(key)] = left.value;
  }
  return { value: values };
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const parent: unknown = Object.getPrototypeOf(value);
  return parent === null || parent === Object.prototype;
}

function nameOf(value: unknown): string {
  if (value instanceof Uint8Array) return 'a value of type bytes';
  if (value instanceof Date) return 'a value of type timestamp';
  const name = typeof value === 'object' && value !== null ? value.constructor.name : typeof value;
  return `a value of type ${name.replace(/^google\.protobuf\./, '')}`;
}

/** Write a value as a literal of the expression language, ints and doubles kept apart. */
export function celLiteral(value: CelValue): string {
  if (typeof value === 'bigint') return value < 0n ? `(${value})` : String(value);
  if (typeof value === 'number') {
    const digits = Number.isInteger(value) ? value.toFixed(1) : String(value);
    return value < 0 ? `(${digits})` : digits;
  }
  if (Array.isArray(value)) return `[${value.map(celLiteral).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
    return `{${entries.map(([key, item]) => `${JSON.stringify(String(key))}: ${celLiteral(item)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}
