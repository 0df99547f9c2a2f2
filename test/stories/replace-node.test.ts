import { expect, it } from 'vitest';
import { until } from '../lab/until.ts';
import { atTheLab, dumpedOsds, openSilences, purgedOsds } from './at-the-lab.ts';

const at = atTheLab({ extraConfig: 'engine: { poll: 1s }\n', objects: { count: 400, sizeBytes: 262_144 } });

it('replace-node: from the operator’s command to new hardware in a clean cluster, every object intact', async () => {
  const before = await dumpedOsds(at);
  const leaving = before.filter(({ osd }) => osd === 2 || osd === 3).map(({ uuid }) => uuid);
  // a short downtime, so that it has to be renewed several times while the drain lasts
  await at.lab.slowRecovery(0.05);
  const replace = at.ada.start(
    ...['replace', '--node', 'ceph-osd-02', '--confirm', 'ceph-osd-02', '--param', 'downtime=9s'],
  );

  await until('a silence covers the node', 60, async () => (await openSilences(at)).length === 1);
  const [silence] = await openSilences(at);
  expect(silence?.matchers).toEqual([
    { name: 'instance', value: 'ceph-osd-02(:[0-9]+)?', isRegex: true, isEqual: true },
  ]);
  const drain = await at.lab.verifyObjects();
  expect(drain).toMatchObject({ checked: 400, bad: [] });

  await replace.says('cephflow approve', 240);
  const renewed = (await openSilences(at))[0];
  expect(renewed?.id).toBe(silence?.id);
  expect(Date.parse(renewed?.endsAt ?? '')).toBeGreaterThan(Date.parse(silence?.endsAt ?? ''));

  const mails = await at.lab.mails();
  expect(mails).toHaveLength(1);
  expect(mails[0]?.to).toBe('technicians@lab.example');
  expect(mails[0]?.subject).toContain('ceph-osd-02');

  const drained = await dumpedOsds(at);
  expect(drained.map(({ osd }) => osd)).toEqual([0, 1, 4, 5, 6, 7]);
  await at.lab.loadObjects({ count: 100, sizeBytes: 262_144, seed: 'while it waits' });
  await at.lab.fastRecovery();

  await at.lab.addNode('ceph-osd-02');
  const approved = await at.ada.cephflow('approve', '@latest', '--comment', 'new chassis in slot 4');
  expect(approved).toMatchObject({ code: 0 });

  const { code, stdout, stderr } = await replace.ended;
  expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });

  const after = await dumpedOsds(at);
  expect(after.filter(({ up }) => up === 1)).toHaveLength(8);
  expect(after.map(({ uuid }) => uuid)).not.toEqual(expect.arrayContaining(leaving));
  await at.lab.waitClean(30);
  expect(await openSilences(at)).toEqual([]);
  expect((await at.lab.verifyObjects()).bad).toEqual([]);

  // counted from the monitor's log, not from our records
  expect(await purgedOsds(at)).toEqual([2, 3]);
  expect(await at.ada.json('runs')).toMatchObject([{ state: 'succeeded', target: 'ceph-osd-02' }]);
}, 600_000);
