import type { Evidence } from './store-doctor-read.ts';
import { type Diagnosis, type Expected, u32At } from './store-doctor-rules.ts';

/** Hold a place that a step needs, as lua/places.lua reads it from `placesof`. */
interface Place {
  readonly group: number;
  /** `group:member`. */
  readonly member: string;
  readonly max: number;
  readonly size: number;
}

/** Hold what the places of a run must be, by what its steps are. */
interface Occupied {
  /** Members that have a place. */
  readonly begun: ReadonlySet<string>;
  /** Begun members of a group. */
  readonly count: ReadonlyMap<number, number>;
  /** Ended steps of each member. */
  readonly ended: ReadonlyMap<string, number>;
}

/** Compare places that are taken with the steps that take them, and look for a waiter that could have one. */
export function* checkPlaces(evidence: Evidence, expected: Expected): Generator<Diagnosis> {
  const all = new Map(
    Object.entries(evidence.placesof).map(([step, text]) => [Number(step), placesIn(text)] as const),
  );
  const occupied = occupiedBy(evidence, expected, all);
  yield* checkFields(evidence, occupied);
  yield* checkWaiters(evidence, expected, { all, occupied });
}

function placesIn(text: string): readonly Place[] {
  return text.split(';').map((one) => {
    const [group = 0, member = 0, max = 1, size = 1] = one.split(':').map(Number);
    return { group, member: `${group}:${member}`, max, size };
  });
}

type AllPlaces = ReadonlyMap<number, readonly Place[]>;

/**
 * A member is begun from its first step that took a place until its last has ended. Only the record says when that was:
 * it is believed, unless no step of the member ever was ready, or all have ended, or one that runs has no place.
 */
function occupiedBy(evidence: Evidence, expected: Expected, all: AllPlaces): Occupied {
  const members = membersOf(evidence, expected, all);
  const begun = new Set<string>();
  const count = new Map<number, number>();
  for (const [member, { size, group, ended, wasReady, isBusy }] of members) {
    const hasPlace = wasReady && evidence.places[`b:${member}`] !== undefined;
    if (ended >= size || !(isBusy || hasPlace)) continue;
    begun.add(member);
    count.set(group, (count.get(group) ?? 0) + 1);
  }
  return { begun, count, ended: new Map([...members].map(([member, { ended }]) => [member, ended])) };
}

interface Member {
  readonly group: number;
  readonly size: number;
  ended: number;
  wasReady: boolean;
  isBusy: boolean;
}

function membersOf({ states, dlv, meta }: Evidence, { isSettled }: Expected, all: AllPlaces) {
  const members = new Map<string, Member>();
  // what joins appended steps has taken over the place of the step that appended them
  const [grown] = JSON.parse(meta['parts'] ?? '[]') as { readonly first: number }[];
  const grownFrom = grown?.first ?? Number.POSITIVE_INFINITY;
  for (const [step, list] of all) {
    for (const { member, size, group } of list) {
      const known = members.get(member) ?? { size, group, ended: 0, wasReady: false, isBusy: false };
      known.wasReady ||= u32At(dlv, step) > 0 || step >= grownFrom;
      known.isBusy ||= 'R?'.includes(states[step] ?? 'p');
      known.ended += isSettled(step) ? 1 : 0;
      members.set(member, known);
    }
  }
  return members;
}

function* checkFields({ places }: Evidence, { begun, count, ended }: Occupied): Generator<Diagnosis> {
  const namesOf = (letter: string) =>
    Object.keys(places).flatMap((field) => (field.startsWith(`${letter}:`) ? [field.slice(2)] : []));
  for (const member of new Set([...ended.keys(), ...namesOf('e'), ...namesOf('b')])) {
    yield* checkMember(places, member, { isBegun: begun.has(member), ended: ended.get(member) ?? 0 });
  }
  for (const group of new Set([...count.keys(), ...namesOf('c').map(Number)])) {
    const [is, shouldBe] = [Number(places[`c:${group}`] ?? 0), count.get(group) ?? 0];
    if (is === shouldBe) continue;
    const text = `${is} places of group ${group} are counted as taken, but ${shouldBe} are`;
    yield wrongPlace(places, text, { field: `c:${group}`, shouldBe: String(shouldBe) });
  }
}

function* checkMember(
  places: Evidence['places'],
  member: string,
  { isBegun, ended }: { readonly isBegun: boolean; readonly ended: number },
): Generator<Diagnosis> {
  const [group, number] = member.split(':');
  const name = `member ${number} of group ${group}`;
  const is = Number(places[`e:${member}`] ?? 0);
  if (is !== ended) {
    const text = `${is} steps of ${name} are counted as ended, but ${ended} are`;
    yield wrongPlace(places, text, { field: `e:${member}`, shouldBe: String(ended) });
  }
  if ((places[`b:${member}`] !== undefined) === isBegun) return;
  const text = isBegun ? `${name} is at work without a place` : `${name} keeps a place that it does not need`;
  yield wrongPlace(places, text, { field: `b:${member}`, shouldBe: isBegun ? '1' : '' });
}

function wrongPlace(
  places: Evidence['places'],
  text: string,
  { field, shouldBe }: { readonly field: string; readonly shouldBe: string },
): Diagnosis {
  return {
    kind: 'place',
    is: `${field} ${places[field] ?? 'none'}`,
    shouldBe: shouldBe === '' ? 'none' : shouldBe,
    text,
    fix: [['place', field, shouldBe]],
  };
}

function* checkWaiters(
  { waiters, states, timers }: Evidence,
  { isEnding }: Expected,
  { all, occupied }: { readonly all: AllPlaces; readonly occupied: Occupied },
): Generator<Diagnosis> {
  const asked = new Set([...waiters].flatMap(([step, group]) => (timers.has(String(step)) ? [group] : [])));
  const canEnter = ({ group, member, max }: Place) =>
    occupied.begun.has(member) || (occupied.count.get(group) ?? 0) < max;
  for (const [step, group] of waiters) {
    if (states[step] !== 'w') {
      const text = `{${step}} stands among those that wait for a place, and does not wait`;
      yield { kind: 'place', step, is: 'waits', shouldBe: 'does not', text, fix: [['unwait', step]] };
    } else if (!asked.has(group) && !isEnding(step) && (all.get(step) ?? []).every(canEnter)) {
      // one that is let in does the same for the rest of its group
      asked.add(group);
      const text = `{${step}} waits for a place, and there is one`;
      yield { kind: 'stuck', step, is: 'waiting', shouldBe: 'ready', text, fix: [['timer', step, 'now']] };
    }
  }
}
