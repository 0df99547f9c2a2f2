import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CephflowError, describeError, errorCodes } from '../../src/base/errors.ts';

it('describeError: says what and why, then what ran and how it ended, then what to do', () => {
  const error = new CephflowError('CEPH_REFUSED', 'osd.12 was not purged: 3 placement groups still need it', {
    command: {
      host: 'mon1',
      words: ['ceph', 'osd', 'purge', '12'],
      exitCode: 16,
      stderr: 'Error EBUSY: not safe',
    },
    hint: 'wait for recovery, or drain it first',
  });
  expect(describeError(error)).toBe(
    [
      'CEPH_REFUSED  osd.12 was not purged: 3 placement groups still need it',
      '  on mon1: ceph osd purge 12  (exit 16)',
      '    Error EBUSY: not safe',
      '  wait for recovery, or drain it first',
    ].join('\n'),
  );
});

it('error codes: every code is documented, and nothing else is', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\w+) \| (.+) \|$/gm)].map((row) =>
    row.slice(1),
  );
  const coded = Object.entries(errorCodes).map(([code, { exit, disposition, about }]) => [
    code,
    String(exit),
    disposition,
    about,
  ]);
  expect(documented.sort()).toEqual(coded.sort());
});
