import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import { createCeph } from '../../src/ceph/ceph.ts';
import { replayTape, type TapeEntry } from '../../src/remote/tape.ts';
import type { OsdTarget } from '../../src/task/targets.ts';
import { refusalOf } from '../remote/refusal.ts';

/**
 * Recorded on Ceph 16.2.15: ceph-osd-01 to -04 with two OSDs each, ceph-osd-05 with osd.8, which is new and empty but
 * for what was just moved; pool `lab`, size 3. Of `pg dump pgs` only what is read was kept.
 */
const pacific: readonly TapeEntry[] = JSON.parse(
  readFileSync(new URL('./pacific.tape.json', import.meta.url), 'utf8'),
);
const cephOn = (tape: readonly TapeEntry[]) => createCeph({ shell: replayTape(tape, 'admin') });
const ceph = () => cephOn(pacific);

async function target(id: number): Promise<OsdTarget> {
  const osd = (await ceph().osdMap()).osds.find((one) => one.id === id);
  if (!osd?.node) throw new Error(`no osd.${id} on the tape`);
  return { id, name: `osd.${id}`, uuid: osd.uuid, node: osd.node, weight: osd.weight };
}

const asked = (line: string, stdout: string, exitCode = 0, reads = true): TapeEntry => ({
  host: 'admin',
  words: ['ceph', '--connect-timeout', '10', ...line.split(' ')],
  reads,
  result: { stdout, stderr: '', exitCode },
});

describe('questions, as Ceph 16.2 answers them', () => {
  test('osdMap joins dump and tree of one epoch', async () => {
    const map = await ceph().osdMap();
    expect(map.osds.map(({ id, node }) => `${id} ${node}`)).toEqual([
      '0 ceph-osd-01',
      '1 ceph-osd-01',
      '2 ceph-osd-02',
      '3 ceph-osd-02',
      '4 ceph-osd-03',
      '5 ceph-osd-03',
      '6 ceph-osd-04',
      '7 ceph-osd-04',
      '8 ceph-osd-05',
    ]);
    expect(map.osds[0]).toMatchObject({ isUp: true, isIn: true, isDestroyed: false, deviceClass: 'hdd' });
    expect(map.osds[0]?.weight).toBeCloseTo(5 / 1024, 4);
    expect(map.nodes.map(({ name, osdIds }) => `${name}: ${osdIds}`).sort()).toEqual([
      'ceph-osd-01: 0,1',
      'ceph-osd-02: 2,3',
      'ceph-osd-03: 4,5',
      'ceph-osd-04: 6,7',
      'ceph-osd-05: 8',
    ]);
    expect(map.nodes[0]?.location).toEqual([{ type: 'root', name: 'default' }]);
    expect(map.pools).toEqual([{ id: 1, name: 'lab', size: 3, minSize: 2, ruleId: 0, pgCount: 32 }]);
    expect(map.backfillfullRatio).toBeCloseTo(0.9);
    expect(map.flags).toContain('purged_snapdirs');
  });

  test('health, status, placement groups, usage, services', async () => {
    const all = ceph();
    expect(await all.health()).toEqual({ status: 'HEALTH_OK', checks: [] });
    expect(await all.status()).toMatchObject({
      isMgrAvailable: true,
      osdCount: 9,
      pgCount: 32,
      pgStates: { 'active+clean': 32 },
      objectCount: 200,
      misplacedObjects: 0,
      degradedObjects: 0,
    });
    const pgs = await all.placementGroups();
    expect(pgs).toHaveLength(32);
    expect(pgs.every((pg) => pg.up.length === 3 && pg.state === 'active+clean')).toBe(true);
    const usage = await all.usage();
    expect(usage.map((one) => one.id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(usage.reduce((sum, one) => sum + one.pgCount, 0)).toBe(96);
    expect(usage[0]?.sizeBytes).toBe(5 * 1024 ** 3);
    expect(await all.services()).toEqual([
      { kind: 'mon', name: 'lab', node: 'ceph-mon-01' },
      { kind: 'mgr', name: 'lab', node: 'ceph-mon-01' },
    ]);
  });

  test('ok-to-stop says no with exit code 16 and names the PGs', async () => {
    const yes = await ceph().okToStop([await target(0), await target(1)]);
    expect(yes).toEqual({ isOk: true, wouldBecomeInactive: [], wouldBecomeMoreDegraded: [] });
    const no = await ceph().okToStop([await target(0), await target(2)]);
    expect(no.isOk).toBe(false);
    expect(no.wouldBecomeInactive.length).toBeGreaterThan(0);
  });

  test('safe-to-destroy says no with exit code 0', async () => {
    const answer = await ceph().safeToDestroy([await target(0), await target(8)]);
    expect(answer).toEqual({ safe: [], hasPgs: [0, 8], unknown: [] });
  });

  test('health checks keep their subjects, and whether they are muted', async () => {
    const check = (muted: boolean) => ({
      severity: 'HEALTH_WARN',
      summary: { message: '1 osds down', count: 1 },
      detail: [{ message: 'osd.3 (root=default,host=ceph-osd-02) is down' }],
      muted,
    });
    const answer = { status: 'HEALTH_WARN', checks: { OSD_DOWN: check(true) }, mutes: [] };
    const tape = [asked('health detail -f json', `\n${JSON.stringify(answer)}`)];
    expect(await cephOn(tape).health()).toEqual({
      status: 'HEALTH_WARN',
      checks: [
        {
          code: 'OSD_DOWN',
          severity: 'HEALTH_WARN',
          summary: '1 osds down',
          subjects: ['osd.3 (root=default,host=ceph-osd-02) is down'],
          isMuted: true,
        },
      ],
    });
  });

  test('rgw daemons are found, with their summary passed over', async () => {
    const daemons = { summary: '', 4123: { metadata: { hostname: 'ceph-rgw-01', id: 'eu.a' } } };
    const empty = ['mon', 'mgr', 'mds'].map((kind) => asked(`${kind} metadata -f json`, '[]'));
    const tape = [
      ...empty,
      asked('service dump -f json', JSON.stringify({ services: { rgw: { daemons } } })),
    ];
    expect(await cephOn(tape).services()).toEqual([{ kind: 'rgw', name: 'eu.a', node: 'ceph-rgw-01' }]);
  });

  test('a tree that a lagging monitor does not have yet is asked for again', async () => {
    const lines = pacific.filter((entry) => /osd (dump|tree)/.test(entry.words.join(' '))).slice(0, 2);
    const [dump, tree] = lines;
    if (!dump || !tree) throw new Error('the tape has no map');
    const behind = {
      ...tree,
      result: { stdout: '', stderr: 'Error ENOENT: there is no map for epoch', exitCode: 2 },
    };
    const shell = replayTape([dump, behind, dump, tree], 'admin');
    expect((await createCeph({ shell }).osdMap()).osds).toHaveLength(9);
    expect(shell.left()).toEqual([]);
  });
});

describe('answers while PGs are unknown', () => {
  const osd: OsdTarget = { id: 3, name: 'osd.3', uuid: 'u', node: 'n', weight: 1 };

  test('safe-to-destroy without JSON is unknown, not safe', async () => {
    const tape = [asked('osd safe-to-destroy 3 -f json', '', 11)];
    expect(await cephOn(tape).safeToDestroy([osd])).toEqual({ safe: [], hasPgs: [], unknown: [3] });
  });

  test('ok-to-stop without JSON is no', async () => {
    const tape = [asked('osd ok-to-stop 3 -f json', '', 11)];
    expect((await cephOn(tape).okToStop([osd])).isOk).toBe(false);
  });

  test('an OSD is safe only where no other list has it', async () => {
    const answer = { safe_to_destroy: [3, 4, 5], active: [], missing_stats: [5], stored_pgs: [4] };
    const tape = [asked('osd safe-to-destroy 3 4 5 6 -f json', JSON.stringify(answer))];
    const four = [3, 4, 5, 6].map((id) => ({ ...osd, id }));
    expect(await cephOn(tape).safeToDestroy(four)).toEqual({ safe: [3], hasPgs: [4], unknown: [5] });
  });
});

describe('acts', () => {
  test('purge has no flag, and is preceded by the comparison of identities', async () => {
    const shell = replayTape([...pacific, asked('osd purge osd.0', '', 0, false)], 'admin');
    await createCeph({ shell }).purge(await target(0));
    expect(shell.left().some((entry) => entry.words.includes('purge'))).toBe(false);
  });

  test('no act on an id that now belongs to another uuid', async () => {
    const osd = { ...(await target(0)), uuid: 'gone' };
    const text = `OSD_IDENTITY  osd.0 is not the OSD this plan was made for: uuid is ${(await target(0)).uuid}, planned gone
  nothing was changed; look at \`ceph osd tree\`, and make a new plan if this is expected`;
    expect(describeError(await refusalOf(() => ceph().purge(osd)))).toBe(text);
    expect(describeError(await refusalOf(() => ceph().reweight(osd, 0)))).toBe(text);
  });

  test('weights are written as CRUSH keeps them', async () => {
    const told = asked('osd crush reweight osd.0 0.004898', '', 0, false);
    await cephOn([...pacific, told]).reweight(await target(0), 0.0048980712890625);
    const refusal = await refusalOf(async () => ceph().reweight(await target(0), Number.NaN));
    expect(describeError(refusal)).toBe(
      'PARAM_INVALID  a CRUSH weight must be a number of at least 0, not NaN',
    );
  });

  test('a node is placed under its ancestors; names that CRUSH forbids are refused before anything runs', async () => {
    const shell = replayTape(
      [
        asked('osd crush add-bucket ceph-osd-09 host', '', 0, false),
        asked('osd crush move ceph-osd-09 rack=r1 root=default', '', 0, false),
      ],
      'admin',
    );
    const location = [
      { type: 'rack', name: 'r1' },
      { type: 'root', name: 'default' },
    ];
    await createCeph({ shell }).placeNode('ceph-osd-09', location);
    expect(shell.left()).toEqual([]);
    expect(describeError(await refusalOf(() => ceph().removeNode({ name: '--force' })))).toBe(
      `PARAM_INVALID  "--force" cannot be a name in the CRUSH map
  letters, digits, _ . and - are allowed, and no - in front`,
    );
  });
});

describe('projectRemoval on the tape', () => {
  test('foretells with the tools, and names a pool that would lack hosts', async () => {
    const one = await ceph().projectRemoval([await target(0), await target(1)]);
    expect(one).toMatchObject({ method: 'osdmaptool', infeasiblePools: [] });
    expect(one.movedShards).toBeGreaterThan(0);
    expect(one.peakRatio).toBeGreaterThan(0.05);
    expect(one.peakRatio).toBeLessThan(0.1);
  });
});
