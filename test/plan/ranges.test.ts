import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRanges, writeRanges } from '../../src/plan/ranges.ts';

test('ranges: evenly spaced numbers are one run', () => {
  expect(writeRanges([0, 1, 2, 3, 12, 20, 22, 24, 26])).toBe('0-3,12,20-26/2');
  expect(writeRanges([5, 4, 9])).toBe('5,4,9');
  expect(writeRanges([1, 3])).toBe('1,3');
});

test('ranges: any list is read back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 30 }), { minLength: 1 }), (numbers) => {
      expect(readRanges(writeRanges(numbers))).toEqual(numbers);
    }),
  );
});
