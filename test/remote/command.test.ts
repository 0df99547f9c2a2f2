import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import { type CommandEntry, logged, quoteWords, readOnly, type Shell } from '../../src/remote/command.ts';
import { refusalOf } from './refusal.ts';

const run = promisify(execFile);

const answering = (shell: Partial<Shell> = {}): Shell => ({
  host: 'ceph-osd-07',
  run: async () => ({ stdout: 'said', stderr: '', exitCode: 3 }),
  close: async () => {},
  ...shell,
});
const asking = { words: ['ceph', 'status'], reads: true, timeoutMs: 1000 };
const changing = { words: ['ceph', 'osd', 'purge', 'osd.3'], reads: false, timeoutMs: 1000 };

describe('quoteWords', () => {
  test('any words arrive unchanged through a real shell', async () => {
    const nasty = fc.constantFrom(
      "'",
      '"',
      '$',
      '`',
      '\\',
      '\n',
      ' ',
      ';',
      '&',
      '*',
      '~',
      '!',
      '#',
      '=',
      '-',
      'ä',
      '$(id)',
    );
    const word = fc.oneof(
      fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
      fc.array(nasty).map((parts) => parts.join('')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 6 }), async (words) => {
        const line = `for word in ${quoteWords(words)}; do printf '%s\\0' "$word"; done`;
        const { stdout } = await run('sh', ['-c', line]);
        expect(stdout.split('\0').slice(0, -1)).toEqual(words.map((text) => Buffer.from(text).toString()));
      }),
      { numRuns: 60 },
    );
  });

  test('leaves plain words plain, for the log', () => {
    expect(quoteWords(['ceph', '--conf', '/etc/ceph/ceph.conf', 'osd.3', 'a=b', '=x', '', '~root'])).toBe(
      "ceph --conf /etc/ceph/ceph.conf osd.3 a=b '=x' '' '~root'",
    );
  });

  test('refuses a NUL byte', async () => {
    const refusal = await refusalOf(async () => quoteWords(['a\0b']));
    expect(describeError(refusal)).toBe(
      'PARAM_INVALID  a word of a command holds a NUL byte, which no command can take',
    );
  });
});

describe('readOnly', () => {
  test('lets a reading command through', async () => {
    expect(await readOnly(answering()).run(asking)).toEqual({ stdout: 'said', stderr: '', exitCode: 3 });
  });

  test('refuses a changing command without running it', async () => {
    let ran = 0;
    const shell = readOnly(
      answering({
        run: async () => {
          ran += 1;
          return { stdout: '', stderr: '', exitCode: 0 };
        },
      }),
    );
    expect(describeError(await refusalOf(() => shell.run(changing)))).toBe(
      `NOT_READ_ONLY  a command that changes something was asked for where only reading is allowed
  on ceph-osd-07: ceph osd purge osd.3
  nothing was changed; this is a defect in a task: please report it`,
    );
    expect(ran).toBe(0);
  });
});

describe('logged', () => {
  test('tells host, words, exit code and duration of a command that ended, and the code of one that did not', async () => {
    const entries: CommandEntry[] = [];
    await logged(answering(), (entry) => entries.push(entry)).run(asking);
    const failing = answering({ run: (command) => readOnly(answering()).run(command) });
    await refusalOf(() => logged(failing, (entry) => entries.push(entry)).run(changing));
    expect(entries.map(({ durationMs, ...entry }) => ({ ...entry, took: durationMs >= 0 }))).toEqual([
      { host: 'ceph-osd-07', words: asking.words, reads: true, exitCode: 3, took: true },
      { host: 'ceph-osd-07', words: changing.words, reads: false, error: 'NOT_READ_ONLY', took: true },
    ]);
  });
});
