import { describe, expect, it } from 'vitest';
import type { HealthCheck } from '../../src/task/ceph.ts';
import waitHealthy from '../../tasks/cluster.wait-healthy.ts';
import removeNode from '../../tasks/node.remove.ts';
import reweightNode from '../../tasks/node.reweight.ts';
import confirm from '../../tasks/person.confirm.ts';
import { asking, cephAnswering, healthyStatus, nodeTarget, osdMap } from '../support/cluster.ts';

const check = (code: string, subjects: readonly string[] = []): HealthCheck => ({
  code,
  severity: 'HEALTH_WARN',
  summary: `${code} happened`,
  subjects,
  isMuted: false,
});
const having = (...checks: readonly HealthCheck[]) => ({ status: 'HEALTH_WARN' as const, checks });

describe('cluster.wait-healthy', () => {
  it('HEALTH_OK is not enough while PGs are mapped elsewhere', async () => {
    const status = { ...healthyStatus, remappedPgs: 8, pgStates: { 'active+clean+remapped': 32 } };
    expect(await waitHealthy.done?.({}, asking({ ceph: cephAnswering({ status }) }))).toMatchObject({
      waitingFor: '8 PGs are mapped away from where their data is; 32 PGs are active+clean+remapped',
    });
  });

  it('statistics without a manager are not believed', async () => {
    const status = { ...healthyStatus, isMgrAvailable: false };
    expect(await waitHealthy.done?.({}, asking({ ceph: cephAnswering({ status }) }))).toMatchObject({
      waitingFor: 'no manager is active: statistics are stale',
    });
  });

  it('a PG without a known state keeps the gate closed', async () => {
    const status = { ...healthyStatus, pgStates: { 'active+clean': 31 } };
    expect(await waitHealthy.done?.({}, asking({ ceph: cephAnswering({ status }) }))).toMatchObject({
      waitingFor: '1 PGs have no known state',
    });
  });

  it('scrubbing is clean', async () => {
    const status = { ...healthyStatus, pgStates: { 'active+clean': 30, 'active+clean+scrubbing+deep': 2 } };
    expect(await waitHealthy.done?.({}, asking({ ceph: cephAnswering({ status }) }))).toBe(true);
  });

  it('a warning that was there at the start does not hold it up; a new subject of it does', async () => {
    const before = having(check('OSD_NEARFULL', ['osd.1 is near full']));
    const step = { ...asking().step, baseline: before };
    expect(await waitHealthy.done?.({}, asking({ step, ceph: cephAnswering({ health: before }) }))).toBe(
      true,
    );
    const worse = having(check('OSD_NEARFULL', ['osd.1 is near full', 'osd.2 is near full']));
    expect(
      await waitHealthy.done?.({}, asking({ step, ceph: cephAnswering({ health: worse }) })),
    ).toMatchObject({
      waitingFor: 'OSD_NEARFULL: OSD_NEARFULL happened',
    });
  });

  it('an unknown code counts, noise does not, and danger counts even when it was there before', async () => {
    const all = having(check('NEVER_HEARD_OF'), check('PG_NOT_SCRUBBED'), check('PG_DEGRADED'));
    const step = { ...asking().step, baseline: having(check('PG_DEGRADED')) };
    expect(
      await waitHealthy.done?.({}, asking({ step, ceph: cephAnswering({ health: all }) })),
    ).toMatchObject({
      waitingFor: 'NEVER_HEARD_OF: NEVER_HEARD_OF happened; PG_DEGRADED: PG_DEGRADED happened',
    });
  });
});

describe('node.reweight to 0', () => {
  const values = { node: nodeTarget(2), weight: 0 };
  const projection = {
    method: 'osdmaptool' as const,
    movedShards: 64,
    movedBytes: 2 * 1024 ** 4,
    peakRatio: 0.88,
    peakOsd: 'osd.4',
    infeasiblePools: [{ pool: 'data', needs: '4 hosts', left: '3 hosts' }],
  };

  it('is refused when pools lack failure domains or an OSD would be too full', async () => {
    expect(
      await reweightNode.outlook?.(values, asking({ ceph: cephAnswering({ projectRemoval: projection }) })),
    ).toEqual({
      effects: ['2.00 TiB in 64 shards move; osd.4, then the fullest, is filled to 88.0 %'],
      refusals: [
        'pool data needs 4 hosts, and only 3 hosts would be left',
        'osd.4 would be filled to 88.0 %, and the limit is 90.0 % (backfillfull), less a margin of 3.0 %; 2.00 TiB have to move',
      ],
    });
  });

  it('does not begin under a flag that keeps data from moving', async () => {
    const ceph = cephAnswering({ osdMap: osdMap({ flags: ['sortbitwise', 'norebalance'] }) });
    expect(await reweightNode.blockers?.(values, asking({ ceph }))).toEqual([
      'flag norebalance is set, so no data moves (ceph osd unset norebalance)',
    ]);
  });

  it('remembers the weight of each OSD by uuid', async () => {
    expect(await reweightNode.remember?.(values, asking())).toEqual([
      { uuid: 'uuid-2', weight: 1 },
      { uuid: 'uuid-3', weight: 1 },
    ]);
  });
});

describe('node.remove', () => {
  it('is refused for a node that carries other daemons, each named', async () => {
    const services = [
      { kind: 'mon' as const, name: 'a', node: 'node-2.example.org' },
      { kind: 'mgr' as const, name: 'x', node: 'node-2' },
      { kind: 'mds' as const, name: 'y', node: 'node-3' },
    ];
    expect(
      await removeNode.outlook?.({ node: nodeTarget(2) }, asking({ ceph: cephAnswering({ services }) })),
    ).toEqual({
      effects: [],
      refusals: [
        'node-2 also carries mon.a: move it to another node first',
        'node-2 also carries mgr.x: move it to another node first',
      ],
    });
  });

  it('is not done by removing a host that still holds OSDs', async () => {
    expect(await removeNode.blockers?.({ node: nodeTarget(2) }, asking())).toEqual([
      'host node-2 still holds osd.2',
      'host node-2 still holds osd.3',
    ]);
  });
});

describe('person.confirm', () => {
  const answered = (verdict: 'approved' | 'rejected') =>
    asking({ decision: { verdict, by: 'ada', comment: 'wrong rack', atMs: 0 } });

  it('waits for a person, then takes yes', async () => {
    const question = 'Is it in?';
    expect(await confirm.done?.({ question }, asking())).toEqual({
      waitingFor: 'a person to answer: Is it in?',
      question,
    });
    expect(await confirm.done?.({ question }, answered('approved'))).toBe(true);
  });

  it('fails on no, with who and why', async () => {
    await expect(confirm.done?.({ question: 'Is it in?' }, answered('rejected'))).rejects.toThrow(
      'ada answered no to "Is it in?": wrong rack',
    );
  });
});
