import { describe, expect, test } from 'vitest';
import { table } from '../../src/cli/table.ts';
import { shorten, wrapSentence, wrapWords } from '../../src/cli/text.ts';

describe('texts on a narrow terminal', () => {
  test('are cut with … only where they do not fit', () => {
    expect(shorten('osd.4 is up', 11)).toBe('osd.4 is up');
    expect(shorten('osd.4 is up', 10)).toBe('osd.4 is…');
  });

  test('are broken between words; a word longer than a line is cut', () => {
    expect(wrapWords('one two three four five six', 20)).toEqual(['one two three four', 'five six']);
    expect(wrapWords('x'.repeat(45), 20)).toEqual(['x'.repeat(20), 'x'.repeat(20), 'xxxxx']);
  });

  test('keep their own indentation, and stay whole in a pipe', () => {
    expect(wrapSentence('  - one two three four five', 24, '    ')).toBe('  - one two three four\n    five');
    expect(wrapSentence('one two', undefined, '  ')).toBe('one two');
  });
});

describe('tables', () => {
  const head = ['STEP', 'WHAT'];
  const rows = [
    ['silence', 'Silence the alerts of a node while the run lives'],
    ['call', 'Tell people'],
  ];

  test('have their full width in a pipe', () => {
    expect(table(head, rows).split('\n')).toContain(
      'silence  Silence the alerts of a node while the run lives',
    );
  });

  test.each(['shortened', 'wrapped'] as const)('fit the terminal: %s', (long) => {
    for (const width of [30, 40, 80]) {
      const lines = table(head, rows, { width, long }).split('\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(lines.at(-1)).toBe('call     Tell people');
    }
  });

  test('wrapped, no word is lost, and the first columns stay empty below', () => {
    expect(table(head, rows, { width: 32, long: 'wrapped' })).toBe(
      [
        'STEP     WHAT',
        'silence  Silence the alerts of a',
        '         node while the run',
        '         lives',
        'call     Tell people',
      ].join('\n'),
    );
  });
});
