import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';
import { type Operator, operator } from './operator.ts';

let lab: Lab;
let ada: Operator;

beforeAll(async () => {
  lab = await startLab({ extraConfig: 'engine: { poll: 1s }\n' });
  await lab.loadObjects({ count: 400, sizeBytes: 262_144, seed: 'before' });
  ada = await operator(lab.configFile);
}, 120_000);
afterAll(async () => {
  await ada?.leave();
  await lab?.stop();
});

interface Dump {
  readonly osds: readonly { osd: number; uuid: string; up: number }[];
}

const osdsOf = async () => (await lab.cephJson<Dump>('osd', 'dump')).osds;
const openSilences = async () => (await lab.silences()).filter((one) => one.status.state === 'active');

it('replace-node: from the operator’s command to new hardware in a clean cluster, every object intact', async () => {
  const before = await osdsOf();
  const leaving = before.filter(({ osd }) => osd === 2 || osd === 3).map(({ uuid }) => uuid);
  // a short downtime, so that it has to be renewed several times while the drain lasts
  await lab.slowRecovery(0.05);
  const replace = ada.start(
    ...['replace', '--node', 'ceph-osd-02', '--confirm', 'ceph-osd-02', '--param', 'downtime=9s'],
  );

  await until('a silence covers the node', 60, async () => (await openSilences()).length === 1);
  const [silence] = await openSilences();
  expect(silence?.matchers).toEqual([
    { name: 'instance', value: 'ceph-osd-02(:[0-9]+)?', isRegex: true, isEqual: true },
  ]);
  const drain = await lab.verifyObjects();
  expect(drain).toMatchObject({ checked: 400, bad: [] });

  await replace.says('cephflow approve', 240);
  const renewed = (await openSilences())[0];
  expect(renewed?.id).toBe(silence?.id);
  expect(Date.parse(renewed?.endsAt ?? '')).toBeGreaterThan(Date.parse(silence?.endsAt ?? ''));

  const mails = await lab.mails();
  expect(mails).toHaveLength(1);
  expect(mails[0]?.to).toBe('technicians@lab.example');
  expect(mails[0]?.subject).toContain('ceph-osd-02');

  const drained = await osdsOf();
  expect(drained.map(({ osd }) => osd)).toEqual([0, 1, 4, 5, 6, 7]);
  await lab.loadObjects({ count: 100, sizeBytes: 262_144, seed: 'while it waits' });
  await lab.fastRecovery();

  await lab.addNode('ceph-osd-02');
  const approved = await ada.cephflow('approve', '@latest', '--comment', 'new chassis in slot 4');
  expect(approved).toMatchObject({ code: 0 });

  const { code, stdout, stderr } = await replace.ended;
  expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });

  const after = await osdsOf();
  expect(after.filter(({ up }) => up === 1)).toHaveLength(8);
  expect(after.map(({ uuid }) => uuid)).not.toEqual(expect.arrayContaining(leaving));
  await lab.waitClean(30);
  expect(await openSilences()).toEqual([]);
  expect((await lab.verifyObjects()).bad).toEqual([]);

  // counted from the monitor's log, not from our records
  const purges = (await lab.audit()).filter(({ prefix }) => prefix === 'osd purge-actual');
  expect(purges.map(({ words }) => Number(words['id'])).sort()).toEqual([2, 3]);
  const runs = await ada.json<{ state: string; target: string }[]>('runs');
  expect(runs).toMatchObject([{ state: 'succeeded', target: 'ceph-osd-02' }]);
}, 600_000);
