import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import * as kinds from '../../src/task/params.ts';

const { readParam } = kinds;

describe('readParam', () => {
  const read: readonly [string, kinds.Param, Json | undefined, Json][] = [
    ['a number written as text', kinds.number('n'), '0.5', 0.5],
    ['a whole number at its bound', kinds.integer('n', { min: 1 }), 1, 1],
    ['a duration as milliseconds', kinds.duration('d'), '2m', 120_000],
    ['a duration already read', kinds.duration('d'), 120_000, 120_000],
    ['true written as text', kinds.boolean('b'), 'true', true],
    ['all devices', kinds.devices('d'), 'all', 'all'],
    ['devices separated by commas', kinds.devices('d'), '/dev/sdb,/dev/sdc', ['/dev/sdb', '/dev/sdc']],
    ['the default', kinds.devices('d', { default: 'all' }), undefined, 'all'],
    ['a contact by name', kinds.contact('c'), 'dc_team', { contact: 'dc_team' }],
    ['a host name', kinds.hostname('h'), 'ceph-osd-07.example.org', 'ceph-osd-07.example.org'],
  ];
  it.each(read)('reads %s', (_, param, given, value) => {
    expect(readParam(param, given)).toEqual({ value });
  });

  const refused: readonly [string, kinds.Param, Json | undefined, string][] = [
    ['a text for a number', kinds.number('n'), 'many', 'a number'],
    ['nothing for a number', kinds.number('n'), '', 'a number'],
    ['a number below its bound', kinds.number('n', { min: 0 }), -1, 'a number of at least 0'],
    [
      'a number above its bound',
      kinds.integer('n', { min: 1, max: 3 }),
      4,
      'a whole number of at least 1 and at most 3',
    ],
    ['a broken number for a whole one', kinds.integer('n'), 1.5, 'a whole number'],
    ['a bare number for a duration', kinds.duration('d'), '10', 'a duration such as 30s, 10m, 12h or 2d'],
    [
      'a mistyped choice',
      kinds.choice('c', ['ask', 'fail']),
      'fial',
      'one of ask, fail. Did you mean "fail"?',
    ],
    ['a relative device', kinds.devices('d'), 'sdb', 'all, or absolute device paths separated by commas'],
    [
      'a device with a shell character',
      kinds.devices('d'),
      '/dev/sdb;reboot',
      'all, or absolute device paths separated by commas',
    ],
    ['a host name with a blank', kinds.hostname('h'), 'ceph osd', 'a host name'],
    [
      'nothing where a value is needed',
      kinds.text('Whom to greet'),
      undefined,
      'a value (text: Whom to greet)',
    ],
  ];
  it.each(refused)('refuses %s', (_, param, given, expected) => {
    expect(readParam(param, given)).toEqual({ expected });
  });
});
