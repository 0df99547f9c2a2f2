import { expect, test } from 'vitest';
import { createNoiseFilter } from '../../src/cli/noise.ts';
import type { RunEvent } from '../../src/run/events.ts';

const base = { seq: '1-0', atMs: 0, step: 4 };
const state = (name: NonNullable<RunEvent['state']>): RunEvent => ({
  ...base,
  kind: 'step-state-changed',
  state: name,
});
const waits = (reason: string, atSeconds = 0, left?: number): RunEvent => ({
  ...base,
  atMs: atSeconds * 1000,
  kind: 'step-waits',
  data: { reason, ...(left === undefined ? {} : { progress: { value: left, target: 0, unit: 'PGs' } }) },
});

test('following: a wait is told once, and again when more than its numbers change', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews(state('running'))).toBe(true);
  expect(isNews(state('waiting'))).toBe(false);
  expect(isNews(waits('44 PGs left'))).toBe(true);
  for (const left of [43, 12, 1]) {
    expect([state('ready'), state('running'), waits(`${left} PGs left`)].some(isNews)).toBe(false);
  }
  expect(isNews(waits('statistics are stale'))).toBe(true);
  expect(isNews(state('succeeded'))).toBe(true);
});

test('following: being ready is never told, beginning is', () => {
  const { isNews } = createNoiseFilter();
  expect([state('ready'), state('running'), state('succeeded')].map(isNews)).toEqual([false, true, true]);
});

test('following: after a failure a step is told anew', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews(waits('44 PGs left'))).toBe(true);
  expect(isNews(state('failed'))).toBe(true);
  expect([state('running'), waits('44 PGs left')].every(isNews)).toBe(true);
});

test('following: a reason that comes and goes is not told each time', () => {
  const { isNews } = createNoiseFilter();
  const flapping = [0, 10, 20, 30, 40].flatMap((at) => [
    waits('settling: 1 of 3', at),
    waits('3 PGs move', at + 5),
  ]);
  expect(flapping.filter(isNews)).toHaveLength(2);
  expect(isNews(waits('settling: 1 of 3', 90))).toBe(true);
});

test('following: progress is told when it is noticeable, and not in every breath', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews(waits('100 PGs left', 0, 100))).toBe(true);
  expect(isNews(waits('50 PGs left', 10, 50))).toBe(false);
  expect(isNews(waits('49 PGs left', 20, 49))).toBe(true);
  expect(isNews(waits('45 PGs left', 60, 45))).toBe(false);
  expect(isNews(waits('39 PGs left', 90, 39))).toBe(true);
});

test('following: a number that hardly moves is told every five minutes, one that stands still never again', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews(waits('100 PGs left', 0, 100))).toBe(true);
  expect(isNews(waits('99 PGs left', 299, 99))).toBe(false);
  expect(isNews(waits('99 PGs left', 301, 99))).toBe(true);
  expect(isNews(waits('99 PGs left', 900, 99))).toBe(false);
});

test('following: of what an abort cancels only what had begun is told', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews(state('cancelled'))).toBe(false);
  expect([state('running'), state('cancelled')].every(isNews)).toBe(true);
});

test('following: renewals of holds are not told, logs are', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews({ ...base, kind: 'hold-renewed' })).toBe(false);
  expect(isNews({ ...base, kind: 'step-logged', text: 'osd.3: stopped' })).toBe(true);
});
