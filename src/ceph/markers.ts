import { z } from 'zod';
import type { FreezeMarker, InstanceRecord, Marked, MarkerActs } from '../task/markers.ts';
import { type CephOptions, createClient } from './client.ts';

/** Keys in the monitors' store: seen by `ceph config-key ls`, and set or removed by hand where no cephflow is at hand. */
const keys = { instance: 'cephflow/instance', freeze: 'cephflow/freeze' } as const;
/** What both begin with: `config-key dump` gives all of them in one command, and ends with 0 where there are none. */
const prefix = 'cephflow/';

/**
 * What a key must have to see and set the markers. The monitors' store may hold secrets, so `allow r` and `allow rw` do
 * not open it; `allow *` does, a cap that names the commands, and one for the service config-key with all its keys.
 * @see MonCapGrant::get_allowed in Ceph's src/mon/MonCap.cc
 */
const neededCaps = [
  `allow command "config-key dump" with key="${prefix}"`,
  `allow command "config-key set" with key prefix "${prefix}"`,
  `allow command "config-key rm" with key prefix "${prefix}"`,
].join(', ');

/**
 * Keep cephflow's markers in the cluster itself: they are seen by every cephflow that reaches it, whatever its Redis.
 * @throws (from the methods) what createClient says; CEPH_NOT_PERMITTED with the capability to grant
 */
export function createMarkers(options: CephOptions): MarkerActs {
  const client = createClient({ ...options, capabilities: neededCaps });
  const set = (key: string, value: unknown) =>
    client.tell(['config-key', 'set', key, writeAscii(value)], 'mon');
  // 16.2: ends with 0 also where the key does not exist
  const remove = (key: string) => client.tell(['config-key', 'rm', key], 'mon');
  return {
    async get() {
      // `get` of a single key ends with 2 where it is absent, and prints what is no text as it is; a dump tells both apart
      const words = ['config-key', 'dump', prefix];
      const found = await client.ask({ words, via: 'mon', schema: dumpAnswer });
      const instance = understand(instanceValue, found[keys.instance]);
      const freeze = understand(freezeValue, found[keys.freeze]);
      return { ...(instance && { instance }), ...(freeze && { freeze }) };
    },
    setInstance: (record) => set(keys.instance, record),
    removeInstance: () => remove(keys.instance),
    setFreeze: (marker) => set(keys.freeze, marker),
    removeFreeze: () => remove(keys.freeze),
  };
}

/**
 * 16.2: `set` takes a value of printable ASCII only (else 22, "unused arguments"), and a dump shows anything more as a
 * binary blob. JSON can say the rest in escapes; it already does so for control characters.
 */
function writeAscii(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const dumpAnswer = z.record(z.string(), z.string());

/** Whoever may write to the cluster's store may write anything: no escape sequences for terminals, nothing endless. */
const longestText = 500;
const text = z.string().transform((value) => plain(value));
const moment = z
  .string()
  .refine((value) => !Number.isNaN(Date.parse(value)))
  .transform((value) => new Date(value).toISOString());

const instanceValue: z.ZodType<InstanceRecord> = z.object({
  instance: text,
  host: text,
  redis: text,
  stateDir: text.optional(),
  since: moment,
  version: text,
  taken: z.object({ by: text, reason: text, from: text }).optional(),
});

const freezeValue: z.ZodType<FreezeMarker> = z.object({ by: text, host: text, at: moment, reason: text });

function plain(value: string): string {
  return value.replaceAll(/\p{Cc}+/gu, ' ').slice(0, longestText);
}

/** Seen of a marker that cannot be read: enough to recognise whose it is. */
const sampleLength = 60;

/** An absent key is no marker; anything else is one, also what nobody can read. */
function understand<T>(schema: z.ZodType<T>, written: string | undefined): Marked<T> | undefined {
  if (written === undefined) return undefined;
  const whole = plain(written).trim();
  const cut = whole.length > sampleLength ? `${whole.slice(0, sampleLength)}…` : whole;
  const unreadable = { unreadable: cut || '(nothing)' };
  try {
    const value = schema.safeParse(JSON.parse(written));
    return value.success ? { value: value.data } : unreadable;
  } catch {
    // no JSON at all: it is there all the same
    return unreadable;
  }
}
