import { describe, expect, test } from 'vitest';
import { chain, group, step } from '../../src/plan/canvas.ts';
import { compileCanvas } from '../../src/plan/compile.ts';
import { smallContext, stepOf } from './support.ts';

describe('plans of many steps', () => {
  const osds = Array.from({ length: 100 }, (_, id) => ({ id, name: `osd.${id}`, uuid: `u${id}`, node: 'n' }));
  const touches = (count: number) =>
    Array.from({ length: count }, (_, index) => step('osd.touch', { osd: osds[index % 100] ?? null }));
  const main = chain(
    group(touches(12_000), { id: 'first' }),
    group(touches(9_000), { maxParallel: 5 }),
    step('noop.do', {}, { id: 'last' }),
  );
  const atEnd = group([chain(step('noop.do'), group(touches(3))), step('noop.do', {}, { id: 'noop.do-2' })]);
  const plan = compileCanvas({ name: 'it', summary: 's', target: '', main, atEnd }, smallContext());

  test('keep one list of edges for all members of a group', () => {
    const [first, second] = [plan.steps.slice(0, 12_000), plan.steps.slice(12_001, 21_001)];
    expect(new Set(first.map(({ after }) => after)).size).toBe(1);
    expect(second[0]?.after).toEqual([12_000]);
    expect(new Set(second.map(({ after }) => after)).size).toBe(1);
    expect(new Set(first.map(({ places }) => places)).size).toBe(1);
    expect(stepOf(plan, 'last').after).toHaveLength(9_000);
  });

  test('name what they act on once, however often they do', () => {
    expect(plan.fingerprint.targets).toHaveLength(100);
    expect(plan.fingerprint.targets.slice(0, 2)).toEqual(['osd.0=u0@n', 'osd.10=u10@n']);
  });

  test('give each step an id that stands once, over both parts', () => {
    expect(new Set(plan.steps.map(({ id }) => id)).size).toBe(plan.steps.length);
    const last = plan.steps.slice(21_002).map(({ id, after }) => [id, after]);
    expect(last).toEqual([
      ['noop.do', []],
      ['osd.touch-21001', [21_002]],
      ['osd.touch-21002', [21_002]],
      ['osd.touch-21003', [21_002]],
      ['noop.do-2', []],
    ]);
  });

  test('do not give an id that is written further up', () => {
    const written = group([step('noop.do', {}, { id: 'noop.do-2' }), step('noop.do'), step('noop.do')]);
    const twice = chain(written, step('noop.do', {}, { id: 'noop.do-3' }));
    const { steps } = compileCanvas({ name: 'it', summary: 's', target: '', main: twice }, smallContext());
    expect(steps.map(({ id }) => id)).toEqual(['noop.do-2', 'noop.do', 'noop.do-3', 'noop.do-3-2']);
  });
});
