import type { InstanceFacts, InstanceRecord, MarkerActs, Markers } from '../../src/task/markers.ts';

/** The instance that the workers of these tests belong to. */
export const ourInstance: InstanceFacts = {
  instance: '0a1b2c3d4e5f',
  host: 'adm1',
  redis: 'embedded',
  version: '0.0.0',
};

/** The markers of a cluster that is not there. A test sets and reads `found`. */
export interface FakeMarkers extends MarkerActs {
  found: Markers;
  /** Thrown by every question and act, while set. */
  trouble?: Error;
  /** How often they were asked for. */
  reads: number;
  /** Every record that was written. */
  readonly written: InstanceRecord[];
}

/** Mark a cluster; at first it has belonged to the tests' instance for long. */
export function fakeMarkers(
  found: Markers = { instance: { value: { ...ourInstance, since: '2026-01-01T00:00:00.000Z' } } },
): FakeMarkers {
  const fake: FakeMarkers = {
    found,
    reads: 0,
    written: [],
    get: async () => {
      fake.reads += 1;
      if (fake.trouble) throw fake.trouble;
      return fake.found;
    },
    setInstance: async (value) => {
      if (fake.trouble) throw fake.trouble;
      fake.written.push(value);
      fake.found = { ...fake.found, instance: { value } };
    },
    removeInstance: async () => {
      const { instance: _gone, ...rest } = fake.found;
      fake.found = rest;
    },
    setFreeze: async (value) => {
      fake.found = { ...fake.found, freeze: { value } };
    },
    removeFreeze: async () => {
      const { freeze: _gone, ...rest } = fake.found;
      fake.found = rest;
    },
  };
  return fake;
}
