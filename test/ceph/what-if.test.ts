import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createCeph } from '../../src/ceph/ceph.ts';
import { compareDemand } from '../../src/ceph/domains.ts';
import { replayTape, type TapeEntry } from '../../src/remote/tape.ts';
import type { OsdTarget } from '../../src/task/targets.ts';

const pacific: readonly TapeEntry[] = JSON.parse(
  readFileSync(new URL('./pacific.tape.json', import.meta.url), 'utf8'),
);
const target = (id: number): OsdTarget => ({ id, name: `osd.${id}`, uuid: 'u', node: 'n', weight: 1 });
const withoutTools = (tape: readonly TapeEntry[]) =>
  tape.map((entry) =>
    entry.words[0] === 'osdmaptool'
      ? { ...entry, result: undefined, error: { code: 'PROGRAM_MISSING', message: 'osdmaptool' } }
      : entry,
  ) as readonly TapeEntry[];

describe('projectRemoval where osdmaptool is absent', () => {
  const shell = () => replayTape(withoutTools(pacific), 'admin');

  test('says that it estimates: what leaves is spread by weight', async () => {
    const ceph = createCeph({ shell: shell() });
    const usage = await ceph.usage();
    const bytes = (ids: number[]) =>
      usage.filter((one) => ids.includes(one.id)).reduce((sum, one) => sum + one.usedBytes, 0);
    const projection = await createCeph({ shell: shell() }).projectRemoval([target(0), target(1)]);
    const share = bytes([0, 1]) / 7; // nine OSDs of one size, two leave
    const peak = Math.max(...[2, 3, 4, 5, 6, 7, 8].map((id) => bytes([id]) + share)) / (5 * 1024 ** 3);
    expect(projection).toMatchObject({
      method: 'proportional',
      movedBytes: bytes([0, 1]),
      infeasiblePools: [],
    });
    expect(projection.peakRatio).toBeCloseTo(peak, 9);
  });

  test('counts the hosts that are left', async () => {
    const gone = [0, 1, 2, 3, 4, 5].map(target);
    const { infeasiblePools } = await createCeph({ shell: shell() }).projectRemoval(gone);
    expect(infeasiblePools).toEqual([{ pool: 'lab', needs: '3 hosts', left: '2 hosts' }]);
  });

  test('estimates through a container, where a map written by one command is gone for the next', async () => {
    const words = ['cephadm', 'shell', '--', 'ceph'];
    const tape = pacific.map((entry) =>
      entry.words[0] === 'ceph' ? { ...entry, words: [...words, ...entry.words.slice(1)] } : entry,
    );
    const ceph = createCeph({ shell: replayTape(tape, 'admin'), words });
    expect((await ceph.projectRemoval([target(0)])).method).toBe('proportional');
  });
});

describe('projectRemoval with the tools', () => {
  const json = (line: string, answer: unknown): TapeEntry =>
    said(line, JSON.stringify(answer), ['-f', 'json']);
  const said = (line: string, stdout: string, more: readonly string[] = []): TapeEntry => ({
    host: 'admin',
    words: [
      ...(line.startsWith('osd ') || line.startsWith('pg ') ? ['ceph', '--connect-timeout', '10'] : []),
      ...line.split(' '),
      ...more,
    ],
    reads: true,
    result: { stdout, stderr: '', exitCode: 0 },
  });
  const osd = (id: number) => ({ osd: id, uuid: `u${id}`, up: 1, in: 1, weight: 1, state: ['exists', 'up'] });
  const ids = [0, 1, 2, 3];
  const placing = (raw: string) => `1.0 raw ([${raw}], p1) up ([${raw}], p1) acting ([0,1,2], p0)\n`;
  const dump = 'osdmaptool /t/osdmap --upmap-cleanup /dev/null --test-map-pgs-dump-all';
  const tape = (after: string): readonly TapeEntry[] => [
    json('osd dump', {
      epoch: 7,
      fsid: 'f',
      flags_set: [],
      backfillfull_ratio: 0.9,
      osds: ids.map(osd),
      pools: [
        {
          pool: 1,
          pool_name: 'ec',
          type: 3,
          size: 3,
          min_size: 2,
          crush_rule: 1,
          pg_num: 1,
          erasure_code_profile: 'two-one',
        },
      ],
      erasure_code_profiles: { 'two-one': { k: '2', m: '1' } },
    }),
    json('osd tree 7', {
      nodes: [
        { id: -1, name: 'default', type: 'root', children: [-2, -3, -4, -5] },
        ...ids.map((id) => ({ id: -2 - id, name: `h${id}`, type: 'host', children: [id] })),
        ...ids.map((id) => ({ id, name: `osd.${id}`, type: 'osd', crush_weight: 1, reweight: 1 })),
      ],
      stray: [],
    }),
    json('osd crush rule dump', [
      {
        rule_id: 1,
        steps: [
          { op: 'set_chooseleaf_tries', num: 5 },
          { op: 'take', item: -1, item_name: 'default' },
          { op: 'chooseleaf_indep', num: 0, type: 'host' },
          { op: 'emit' },
        ],
      },
    ]),
    json('osd df', { nodes: ids.map((id) => ({ id, kb: 1000, kb_used: 100 + id, pgs: 1 })) }),
    said('mktemp -d -t cephflow-map.XXXXXXXX', '/t\n'),
    said('osd getmap 7 -o /t/osdmap', '', ['-f', 'json']),
    said(dump, placing('0,1,2')),
    said('osdmaptool /t/osdmap --export-crush /t/crush', ''),
    said('crushtool -i /t/crush --reweight-item osd.0 0 -o /t/crush', ''),
    said('osdmaptool /t/osdmap --import-crush /t/crush', ''),
    said(dump, placing(after)),
    said('rm -r -- /t', ''),
    json('pg dump pgs', {
      pg_map: { pg_stats: [{ pgid: '1.0', acting: [0, 1, 2], stat_sum: { num_bytes: 400 * 1024 } }] },
    }),
  ];

  test('counts a shard of an erasure coded PG as the k-th part, by its position', async () => {
    const shell = replayTape(tape('3,2,1'), 'admin');
    expect(await createCeph({ shell }).projectRemoval([target(0)])).toEqual({
      method: 'osdmaptool',
      movedShards: 3, // 1 and 2 change places: each needs the other's shard
      movedBytes: 600 * 1024,
      peakRatio: 0.303,
      peakOsd: 'osd.3',
      infeasiblePools: [],
    });
    expect(shell.left()).toEqual([]);
  });

  test('names a pool for which CRUSH finds too few places though there are enough hosts', async () => {
    const { infeasiblePools } = await createCeph({
      shell: replayTape(tape('2147483647,1,2'), 'admin'),
    }).projectRemoval([target(0)]);
    expect(infeasiblePools).toEqual([
      { pool: 'ec', needs: '3 hosts', left: '3 hosts, where CRUSH finds no place for 1 of 1 PGs' },
    ]);
  });
});

describe('compareDemand', () => {
  const tree = {
    nodes: [
      { id: -1, name: 'default', type: 'root', children: [-2, -3] },
      { id: -2, name: 'r1', type: 'rack', children: [-4] },
      { id: -3, name: 'r2', type: 'rack', children: [-5] },
      { id: -4, name: 'h1', type: 'host', children: [0, 1] },
      { id: -5, name: 'h2', type: 'host', children: [2] },
      { id: 0, name: 'osd.0', type: 'osd', crush_weight: 1, reweight: 1, device_class: 'ssd' },
      { id: 1, name: 'osd.1', type: 'osd', crush_weight: 1, reweight: 1, device_class: 'hdd' },
      { id: 2, name: 'osd.2', type: 'osd', crush_weight: 1, reweight: 1, device_class: 'hdd' },
    ],
    stray: [],
  };
  const rule = (root: string, ...steps: { op: string; num: number; type: string }[]) => ({
    rule_id: 0,
    steps: [{ op: 'take', item_name: root }, ...steps, { op: 'emit' }],
  });
  const leaf = (type: string, num = 0) => ({ op: 'chooseleaf_firstn', num, type });

  test.each([
    ['racks', rule('default', leaf('rack')), [], { needs: '3 racks', left: '2 racks', isMet: false }],
    ['one class', rule('default~ssd', leaf('host')), [], { needs: '3 hosts', left: '1 host', isMet: false }],
    [
      'negative numbers',
      rule('default', leaf('host', -1)),
      [],
      { needs: '2 hosts', left: '2 hosts', isMet: true },
    ],
    [
      'what leaves',
      rule('default', leaf('host', 2)),
      [2],
      { needs: '2 hosts', left: '1 host', isMet: false },
    ],
    [
      'nested draws',
      rule(
        'default',
        { op: 'choose_indep', num: 2, type: 'rack' },
        { op: 'chooseleaf_indep', num: 9, type: 'osd' },
      ),
      [],
      { needs: '2 racks', left: '2 racks', isMet: true },
    ],
  ])('%s', (_, given, gone, expected) => {
    expect(compareDemand(given, 3, tree, new Set(gone))).toEqual(expected);
  });
});
