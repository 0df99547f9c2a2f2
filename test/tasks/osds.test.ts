import { describe, expect, it } from 'vitest';
import type { Device, MachineReads, PreparedOsd } from '../../src/task/context.ts';
import create from '../../tasks/osd.create.ts';
import purge from '../../tasks/osd.purge.ts';
import reweight from '../../tasks/osd.reweight.ts';
import stop from '../../tasks/osd.stop.ts';
import waitEmpty from '../../tasks/osd.wait-empty.ts';
import { asking, cephAnswering, osdMap, osdState, osdTarget } from '../support/cluster.ts';

const osd = osdTarget(2);
/** Every PG but the one that a test is about. */
const others = Array.from({ length: 31 }, (_, i) => ({
  id: `1.${i}`,
  state: 'active+clean',
  up: [4, 5, 6],
  acting: [4, 5, 6],
}));

const reused = osdMap({ osds: [osdState(2, { uuid: 'another' })] });

describe('an OSD whose id now belongs to another', () => {
  const text = 'osd.2 is not the OSD this plan was made for: uuid is another, planned uuid-2';
  const context = asking({ ceph: cephAnswering({ osdMap: reused }) });

  it('is not waited for', async () => {
    await expect(waitEmpty.done?.({ osd }, context)).rejects.toThrow(text);
  });
  it('is not stopped', async () => {
    await expect(stop.blockers?.({ osd }, context)).rejects.toThrow(text);
  });
  it('is not reweighted', async () => {
    await expect(reweight.done?.({ osd, weight: 0 }, context)).rejects.toThrow(text);
  });
  it('counts as purged, and would not be purged', async () => {
    expect(await purge.done?.({ osd }, context)).toBe(true);
    await expect(purge.blockers?.({ osd }, context)).rejects.toThrow(text);
  });
});

it('osd.wait-empty: an OSD that does not exist is an error, never empty', async () => {
  const context = asking({ ceph: cephAnswering({ osdMap: osdMap({ osds: [osdState(0)] }) }) });
  await expect(waitEmpty.done?.({ osd }, context)).rejects.toThrow(
    'no OSD has id 2 any more (planned uuid uuid-2)',
  );
});

it('osd.wait-empty: a PG that still has its data there counts, also when CRUSH wants it elsewhere', async () => {
  const placementGroups = [
    ...others,
    { id: '1.a', state: 'active+remapped', up: [4, 5, 6], acting: [2, 5, 6] },
  ];
  const answer = await waitEmpty.done?.({ osd }, asking({ ceph: cephAnswering({ placementGroups }) }));
  expect(answer).toEqual({
    waitingFor: '1 PGs are still on osd.2',
    progress: { value: 1, target: 0, unit: 'PGs' },
  });
});

it('osd.wait-empty: no PG left, but Ceph cannot tell: waits', async () => {
  const safeToDestroy = { safe: [], hasPgs: [], unknown: [2] };
  const placementGroups = [...others, ...others.slice(0, 1)];
  const ceph = cephAnswering({ safeToDestroy, placementGroups });
  const answer = await waitEmpty.done?.({ osd }, asking({ ceph }));
  expect(answer).toMatchObject({ waitingFor: 'Ceph does not yet call osd.2 safe to destroy' });
});

it('osd.stop: does not stop while PGs would become inactive or lose another copy', async () => {
  const okToStop = {
    isOk: true,
    wouldBecomeInactive: ['1.1'],
    wouldBecomeMoreDegraded: ['1.2', '1.3', '1.4', '1.5', '1.6', '1.7'],
  };
  expect(await stop.blockers?.({ osd }, asking({ ceph: cephAnswering({ okToStop }) }))).toEqual([
    'without osd.2 PGs would stop serving: 1.1',
    'PGs lack copies already and would lose another: 1.2, 1.3, 1.4, 1.5, 1.6 and 1 more',
  ]);
});

it('osd.stop: is not done while statistics still count on it', async () => {
  const map = osdMap({ osds: [osdState(2, { isUp: false })] });
  const placementGroups = [...others, { id: '1.a', state: 'active+clean', up: [2, 5, 6], acting: [2, 5, 6] }];
  const ceph = cephAnswering({ osdMap: map, placementGroups });
  expect(await stop.done?.({ osd }, asking({ ceph }))).toEqual({
    waitingFor: 'the statistics of 1 PGs still count on osd.2',
  });
});

it('osd.purge: names everything that keeps it from being purged', async () => {
  const ceph = cephAnswering({ safeToDestroy: { safe: [], hasPgs: [2], unknown: [] } });
  expect(await purge.blockers?.({ osd }, asking({ ceph }))).toEqual([
    'osd.2 is up',
    'osd.2 still has CRUSH weight 1',
    'placement groups still need osd.2',
  ]);
});

it('osd.purge: not knowing is not safe', async () => {
  const map = osdMap({ osds: [osdState(2, { isUp: false, weight: 0 })] });
  const ceph = cephAnswering({ osdMap: map, safeToDestroy: { safe: [], hasPgs: [], unknown: [2] } });
  expect(await purge.blockers?.({ osd }, asking({ ceph }))).toEqual([
    'Ceph cannot tell yet whether osd.2 is safe to destroy',
  ]);
});

describe('osd.create', () => {
  const device = (letter: string, isAvailable = true): Device => ({
    path: `/dev/sd${letter}`,
    sizeBytes: 1e9,
    isAvailable,
    rejectedReasons: isAvailable ? [] : ['has a file system'],
  });
  const on = (devices: readonly Device[], prepared: readonly PreparedOsd[]) => {
    const machine: MachineReads = {
      hostname: async () => 'node-1',
      isOsdRunning: async () => true,
      devices: async () => devices,
      preparedOsds: async () => prepared,
    };
    return asking({ machine: () => machine });
  };
  const values = { name: 'node-1', devices: 'all', at_least: 2 };

  it('is refused when fewer devices appear than OSDs left', async () => {
    expect(await create.blockers?.(values, on([device('b')], []))).toEqual([
      'node-1 offers devices for 1 OSDs, and 2 are needed',
    ]);
  });

  it('says why a named device cannot be used', async () => {
    const named = { ...values, devices: ['/dev/sdb', '/dev/sdz'], at_least: 1 };
    expect(await create.blockers?.(named, on([device('b', false)], []))).toEqual([
      '/dev/sdb of node-1 cannot be used: has a file system',
      '/dev/sdz of node-1 cannot be used: there is no such device',
      'node-1 offers devices for 0 OSDs, and 1 are needed',
    ]);
  });

  it('is done when every wanted device holds an OSD that is up', async () => {
    const prepared = [0, 1].map((id) => ({ id, uuid: `uuid-${id}`, device: `/dev/sd${id}` }));
    expect(await create.done?.(values, on([], prepared))).toBe(true);
  });

  it('is not done while one of them is prepared by an OSD of another uuid under the same id', async () => {
    const prepared = [0, 1].map((id) => ({ id, uuid: id === 1 ? 'old' : 'uuid-0', device: `/dev/sd${id}` }));
    expect(await create.done?.(values, on([], prepared))).toMatchObject({
      waitingFor: 'node-1 has 1 OSDs of 2',
    });
  });
});

it('osd.wait-empty: a manager that has just started tells of no PG, which does not mean that none is left', async () => {
  const answer = await waitEmpty.done?.({ osd }, asking({ ceph: cephAnswering({ placementGroups: [] }) }));
  expect(answer).toEqual({ waitingFor: '32 PGs have no known place' });
});
