import { parseDuration } from '../base/duration.ts';
import { errorCodes } from '../base/errors.ts';
import { canonicalJson, type Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import { splitText } from './interpolation.ts';
import type { Plan, StepRetry } from './plan.ts';
import type { WrittenLock, WrittenSettings } from './playbook.ts';
import { type Place, type Problem, problemAt } from './problems.ts';
import {
  describeWritten,
  plainJson,
  takeFields,
  takeList,
  takeText,
  type Written,
  type WrittenEntry,
  type WrittenText,
} from './written.ts';

/** Keys of a step that say how it is carried out. */
export const settingKeys = [
  'retry',
  'timeout',
  'poll',
  'delay',
  'limit',
  'queue',
  'priority',
  'rate',
  'approvers',
  'payload',
] as const;

/** Be the entries of a mapping by their keys. */
export type Fields = ReadonlyMap<string, WrittenEntry>;

/** A payload is carried in every event of its run: it is a label, not a store. */
const largestPayloadBytes = 4096;

/** Read what a step says about how it is carried out. */
export function readSettings(fields: Fields, problems: Problem[]): WrittenSettings {
  const pollMs = takeDuration(fields.get('poll'), problems);
  const delayMs = takeDuration(fields.get('delay'), problems);
  const limitMs = takePositive(fields.get('limit'), problems);
  const timeout = readEnd(fields.get('timeout'), 'a timeout', ['ask', 'fail'], problems);
  const retry = readRetry(fields.get('retry'), problems);
  const rate = readRate(fields.get('rate'), problems);
  const approvers = readApprovers(fields.get('approvers'), problems);
  const payload = readPayload(fields.get('payload'), problems);
  return {
    ...(timeout ? { timeout } : {}),
    ...(pollMs === undefined ? {} : { pollMs }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(retry ? { retry } : {}),
    ...(limitMs === undefined ? {} : { limitMs }),
    ...readRouting(fields, problems),
    ...(rate ? { rate } : {}),
    ...(approvers ? { approvers } : {}),
    ...(payload === undefined ? {} : { payload }),
  };
}

/** Read `queue` and `priority`, which a step and a playbook may both say. */
export function readRouting(
  fields: Fields,
  problems: Problem[],
): Pick<WrittenSettings, 'queue' | 'priority'> {
  const queue = takeText(fields.get('queue')?.value, 'queue', problems);
  const isQueue = queue !== undefined && /^[a-z0-9-]{1,40}$/.test(queue.text);
  if (queue && !isQueue) {
    const expected = 'expected at most 40 of a-z, 0-9 and -, such as slow-disks';
    problems.push(problemAt(queue.place, `"${queue.text}" is no name of a queue: ${expected}`));
  }
  const written = fields.get('priority')?.value;
  const priority = written?.kind === 'scalar' ? written.value : undefined;
  const isPriority =
    typeof priority === 'number' && Number.isInteger(priority) && priority >= -100 && priority <= 100;
  if (written && !isPriority) {
    const what = describeWritten(written);
    const expected = 'expected a whole number from -100 to 100, of which the higher goes first';
    problems.push(problemAt(written.place, `priority is ${what}: ${expected}`));
  }
  return { ...(isQueue ? { queue: queue.text } : {}), ...(isPriority ? { priority } : {}) };
}

/** Read a payload: any JSON, taken as it is written, at most 4 KiB of it. */
export function readPayload(entry: WrittenEntry | undefined, problems: Problem[]): Json | undefined {
  if (!entry) return undefined;
  const found = expressionIn(entry.value);
  if (found) {
    const message = 'a payload is taken as it is written: expected no expression in it';
    problems.push(problemAt(found, message));
    return undefined;
  }
  const payload = plainJson(entry.value);
  const size = Buffer.byteLength(canonicalJson(payload));
  if (size <= largestPayloadBytes) return payload;
  const message = `payload has ${size} bytes as JSON: expected at most ${largestPayloadBytes}`;
  problems.push(problemAt(entry.value.place, message));
  return undefined;
}

/** Read the deadline of a playbook: a duration, or `{ after, then }`. */
export function readDeadline(entry: WrittenEntry | undefined, problems: Problem[]): Plan['deadline'] {
  if (entry?.value.kind === 'map') return readEnd(entry, 'a deadline', ['ask', 'abort'], problems);
  const afterMs = takePositive(entry, problems);
  return afterMs === undefined ? undefined : { afterMs, outcome: 'ask' };
}

/** Read a list of locks, each a name or `{ name, capacity }`; names may hold expressions. */
export function readLocks(entry: WrittenEntry | undefined, problems: Problem[]): readonly WrittenLock[] {
  return takeList(entry?.value, 'lock', problems).flatMap((one) => {
    const fields = one.kind === 'map' ? takeFields(one, ['name', 'capacity'], 'a lock', problems) : undefined;
    const named = fields ? fields.get('name')?.value : one;
    if (!named) problems.push(problemAt(one.place, 'the lock has no name: expected the key name'));
    const name = takeText(named, fields ? 'name' : 'a lock', problems);
    const capacity = fields?.has('capacity')
      ? takeCount(fields.get('capacity')?.value, { key: 'capacity', place: one.place }, problems)
      : 1;
    return name && capacity !== undefined ? [{ name, capacity }] : [];
  });
}

/** Say what is wrong with the name of a lock or rate, whose expressions are filled in; undefined where it is good. */
export function judgeSharedName(name: string): string | undefined {
  if (/^\S{1,200}$/.test(name)) return undefined;
  const what = name.length > 200 ? `a name of ${name.length} characters` : `the name "${name}"`;
  return `${what} cannot be shared: expected 1 to 200 characters without spaces, such as node/ceph-osd-07`;
}

function readEnd<Outcome extends 'ask' | 'fail' | 'abort'>(
  entry: WrittenEntry | undefined,
  what: string,
  outcomes: readonly Outcome[],
  problems: Problem[],
): { readonly afterMs: number; readonly outcome: Outcome } | undefined {
  if (!entry) return undefined;
  const fields = takeFields(entry.value, ['after', 'then'], what, problems);
  if (entry.value.kind !== 'map') return undefined;
  const afterMs = takeRequired(fields, 'after', entry.value.place, problems);
  const then = takeText(fields.get('then')?.value, 'then', problems);
  const outcome = then ? outcomes.find((one) => one === then.text) : outcomes[0];
  if (outcome === undefined) {
    const written = then?.text ?? '';
    const expected = `expected one of ${outcomes.join(', ')}.${didYouMean(written, outcomes)}`;
    problems.push(problemAt(then?.place ?? entry.value.place, `then is "${written}": ${expected}`));
  }
  return afterMs === undefined || outcome === undefined ? undefined : { afterMs, outcome };
}

function readRetry(entry: WrittenEntry | undefined, problems: Problem[]): StepRetry | undefined {
  if (!entry) return undefined;
  const fields = takeFields(entry.value, ['attempts', 'delay', 'max-delay', 'on'], 'a retry', problems);
  const { place } = entry.value;
  if (entry.value.kind !== 'map') return undefined;
  const delayMs = takeRequired(fields, 'delay', place, problems);
  const attempts = takeCount(fields.get('attempts')?.value, { key: 'attempts', place }, problems);
  const longest = takeDuration(fields.get('max-delay'), problems);
  if (longest !== undefined && delayMs !== undefined && longest < delayMs) {
    const message = 'max-delay is shorter than delay: expected the longest pause, as pauses double';
    problems.push(problemAt(fields.get('max-delay')?.value.place ?? place, message));
  }
  const on = readCodes(fields.get('on'), problems);
  if (delayMs === undefined || attempts === undefined) return undefined;
  return {
    attempts,
    delayMs,
    ...(longest === undefined ? {} : { longestDelayMs: longest }),
    ...(on ? { on } : {}),
  };
}

function readCodes(entry: WrittenEntry | undefined, problems: Problem[]): readonly string[] | undefined {
  const texts = takeTexts(entry, { one: 'a code in on', expected: 'codes of errors' }, problems);
  for (const { text, place } of texts ?? []) {
    if (Object.hasOwn(errorCodes, text)) continue;
    const guess = didYouMean(text, Object.keys(errorCodes));
    const message = `unknown code "${text}" in on: expected a code of docs/errors.md.${guess}`;
    problems.push(problemAt(place, message));
  }
  return texts?.map(({ text }) => text);
}

function readRate(entry: WrittenEntry | undefined, problems: Problem[]): WrittenSettings['rate'] {
  if (!entry) return undefined;
  const fields = takeFields(entry.value, ['name', 'most', 'per'], 'a rate', problems);
  const { place } = entry.value;
  if (entry.value.kind !== 'map') return undefined;
  const name = takeText(fields.get('name')?.value, 'name', problems);
  const fault = name && judgeSharedName(name.text);
  if (fault !== undefined) problems.push(problemAt(name?.place ?? place, fault));
  if (name?.text.includes('${')) {
    problems.push(problemAt(name.place, 'a rate is named as it is written: expected no expression in it'));
  }
  const most = takeCount(fields.get('most')?.value, { key: 'most', place }, problems);
  const perMs = takeRequired(fields, 'per', place, problems);
  if (most === undefined || perMs === undefined) return undefined;
  return { ...(name ? { name: name.text } : {}), most, perMs };
}

function readApprovers(entry: WrittenEntry | undefined, problems: Problem[]): readonly string[] | undefined {
  const texts = takeTexts(entry, { one: 'an approver', expected: 'names of users' }, problems);
  for (const { text, place } of texts ?? []) {
    if (/^\S+$/.test(text)) continue;
    problems.push(problemAt(place, `"${text}" is no name of a user: expected a name without spaces`));
  }
  return texts?.map(({ text }) => text);
}

/** Take a list that must not be empty: nobody could approve, and nothing would be tried again. */
function takeTexts(
  entry: WrittenEntry | undefined,
  { one, expected }: { readonly one: string; readonly expected: string },
  problems: Problem[],
): readonly WrittenText[] | undefined {
  if (!entry) return undefined;
  const before = problems.length;
  const texts = takeList(entry.value, entry.key, problems).flatMap(
    (item) => takeText(item, one, problems) ?? [],
  );
  if (texts.length > 0) return texts;
  if (problems.length === before) {
    problems.push(problemAt(entry.value.place, `${entry.key} is empty: expected ${expected}`));
  }
  return undefined;
}

function takeCount(
  written: Written | undefined,
  { key, place }: { readonly key: string; readonly place: Place },
  problems: Problem[],
): number | undefined {
  const count = written?.kind === 'scalar' ? written.value : undefined;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1) return count;
  const what = written ? describeWritten(written) : 'absent';
  const message = `${key} is ${what}: expected a whole number of at least 1`;
  problems.push(problemAt(written?.place ?? place, message));
  return undefined;
}

function takeRequired(fields: Fields, key: string, place: Place, problems: Problem[]): number | undefined {
  const entry = fields.get(key);
  if (!entry) problems.push(problemAt(place, `${key} is absent: expected a duration such as 10m or 12h`));
  return key === 'per' ? takePositive(entry, problems) : takeDuration(entry, problems);
}

function takePositive(entry: WrittenEntry | undefined, problems: Problem[]): number | undefined {
  const ms = takeDuration(entry, problems);
  if (ms !== 0) return ms;
  problems.push(problemAt(entry?.value.place as Place, `${entry?.key} is 0: expected more than no time`));
  return undefined;
}

function takeDuration(entry: WrittenEntry | undefined, problems: Problem[]): number | undefined {
  if (!entry) return undefined;
  const { value } = entry;
  const text = value.kind === 'scalar' && typeof value.value === 'string' ? value.value : '';
  const ms = parseDuration(text);
  if (ms === undefined) {
    const what = `${entry.key} is ${describeWritten(value)}`;
    problems.push(problemAt(value.place, `${what}: expected a duration such as 30s, 10m, 12h or 2d`));
  }
  return ms;
}

/** Find a text that holds an expression. */
function expressionIn(written: Written): Place | undefined {
  if (written.kind === 'scalar') {
    if (typeof written.value !== 'string') return undefined;
    const split = splitText(written.value);
    const isLiteral = split.fault === undefined && split.parts.every(({ kind }) => kind === 'literal');
    return isLiteral ? undefined : written.place;
  }
  const parts = written.kind === 'list' ? written.items : written.entries.map(({ value }) => value);
  for (const part of parts) {
    const found = expressionIn(part);
    if (found) return found;
  }
  return undefined;
}
