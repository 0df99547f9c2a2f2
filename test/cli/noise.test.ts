import { expect, test } from 'vitest';
import { createNoiseFilter } from '../../src/cli/noise.ts';
import type { RunEvent } from '../../src/run/events.ts';

const base = { seq: '1-0', atMs: 0, step: 4 };
const state = (name: NonNullable<RunEvent['state']>): RunEvent => ({
  ...base,
  kind: 'step-state-changed',
  state: name,
});
const waits = (reason: string): RunEvent => ({ ...base, kind: 'step-waits', data: { reason } });

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

test('following: after a failure a step is told anew', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews(waits('44 PGs left'))).toBe(true);
  expect(isNews(state('failed'))).toBe(true);
  expect([state('ready'), state('running'), waits('44 PGs left')].every(isNews)).toBe(true);
});

test('following: renewals of holds are not told, logs are', () => {
  const { isNews } = createNoiseFilter();
  expect(isNews({ ...base, kind: 'hold-renewed' })).toBe(false);
  expect(isNews({ ...base, kind: 'step-logged', text: 'osd.3: stopped' })).toBe(true);
});
