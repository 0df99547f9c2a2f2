import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const bench = resolve(import.meta.dirname, '../../scripts/bench.js');
const run = (...words: string[]) => spawnSync(process.execPath, [bench, ...words], { encoding: 'utf8' });

it('bench: prints one JSON object a line for a figure, beside what it was measured against', () => {
  const { status, stdout, stderr } = run('engine.chain');
  expect({ status, said: status === 0 ? '' : stderr }).toEqual({ status: 0, said: '' });
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    {
      figure: 'engine.chain-1000.ratio',
      value: expect.any(Number),
      unit: 'x',
      baseline: expect.stringContaining('raw BullMQ, 1000 jobs'),
      n: 3,
    },
  ]);
});

it('bench: a name that no figure begins with is answered with those there are', () => {
  const { status, stderr } = run('engien');
  expect(status).toBe(64);
  expect(stderr).toContain('no figure begins with engien; there are:\n  engine.group-10000.ratio\n');
});
