import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const bench = resolve(import.meta.dirname, '../../scripts/bench.js');
const run = (...words: string[]) => spawnSync(process.execPath, [bench, ...words], { encoding: 'utf8' });

it('bench: prints one JSON object a line for a figure, beside what it was measured against and its limit', () => {
  const { status, stdout, stderr } = run('engine.chain');
  expect({ status, said: status === 0 ? '' : stderr }).toEqual({ status: 0, said: '' });
  const figures = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(figures).toEqual([
    {
      figure: 'engine.chain-1000.ratio',
      value: expect.any(Number),
      unit: 'x',
      baseline: expect.stringMatching(/^raw BullMQ, 1000 jobs \(\d+\.\d\d s; cephflow \d+\.\d\d s\)$/),
      n: 3,
      limit: 1.5,
    },
  ]);
  const [{ value }] = figures;
  expect(value).toBeGreaterThan(0);
  expect(stderr).toContain('bench: raw chain 1000, 1 of 3: ');
  expect(stderr).toContain('bench: ours chain 1000, 3 of 3: ');
  const judged = value <= 1.5 ? '<= 1.5 ok' : '<= 1.5 MISSED';
  expect(stderr).toMatch(new RegExp(`engine\\.chain-1000\\.ratio +${value} +x +${judged} +3 +raw BullMQ`));
});

it('bench: a name that no figure begins with is answered with those there are', () => {
  const { status, stdout, stderr } = run('engien');
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
  const [, said = ''] = stderr.split('no figure begins with engien; there are:\n');
  expect(said.trim().split(/\s+/)).toEqual([
    'engine.group-10000.ratio',
    'engine.client-memory.mb',
    'engine.worker-memory.mb',
    'engine.chords-100x100.ratio',
    'engine.chain-1000.ratio',
    'engine.group-to-group.ratio',
    'engine.growth-100k.ratio',
    'engine.client-memory-growth.mb',
    'engine.worker-memory-growth.mb',
    'engine.redis-submitted.bytes-per-step',
    'engine.redis-peak.bytes-per-step',
    'engine.waiting-10000.core-fraction',
    'engine.slowest-script.ms',
  ]);
});
