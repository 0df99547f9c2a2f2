import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';
import { type Operator, operator } from './operator.ts';

let lab: Lab;
let ada: Operator;

beforeAll(async () => {
  lab = await startLab({ extraConfig: 'engine: { poll: 1s }\n' });
  await lab.loadObjects({ count: 200, sizeBytes: 262_144, seed: 'before' });
  ada = await operator(lab.configFile);
}, 120_000);
afterAll(async () => {
  await ada?.leave();
  await lab?.stop();
});

interface Head {
  readonly run: string;
  readonly state: string;
}

interface Tree {
  readonly nodes: readonly { name: string; type: string; children?: readonly number[] }[];
}

const openSilences = async () => (await lab.silences()).filter((one) => one.status.state === 'active');

it('^C leaves and the run goes on; another terminal follows it; an abort gives back what it held, and both are told', async () => {
  await lab.slowRecovery(0.3);
  const replace = ada.start('replace', '--node', 'ceph-osd-03', '--confirm', 'ceph-osd-03');
  await replace.says(/osd\.wait-empty@osd\.4 +waiting/, 90);
  replace.kill('SIGINT');
  const left = await replace.ended;
  expect(left.code).toBe(130);
  const [head] = await ada.json<Head[]>('runs');
  const short = head?.run.slice(-4) ?? '';
  expect(left.stderr).toContain(`run ${short} goes on without you; come back with: cephflow watch ${short}`);
  expect(head?.state).toBe('running');

  const watch = ada.start('watch', short);
  await watch.says(/osd\.wait-empty@osd\.4/, 60);
  expect(await ada.cephflow('abort', short)).toMatchObject({ code: 64 });
  expect(await ada.cephflow('abort', short, '--reason', 'wrong node')).toMatchObject({ code: 0 });
  expect((await watch.ended).code).toBe(6);

  expect((await ada.json<Head>('show', short)).state).toBe('aborted');
  expect(await openSilences()).toEqual([]);
  const again = await ada.cephflow('abort', short, '--reason', 'once more');
  expect(again.code).toBe(4);
  await lab.fastRecovery();
}, 300_000);

it('add-node: a new node comes in beside another, with an OSD on each device, and nothing else changes', async () => {
  await lab.addNode('ceph-osd-05');
  const add = await ada.cephflow(
    ...[
      'run',
      'add-node',
      '--param',
      'name=ceph-osd-05',
      '--param',
      'beside=ceph-osd-04',
      '--param',
      'osds=2',
    ],
  );
  expect({ code: add.code, said: add.code === 0 ? '' : add.stderr }).toEqual({ code: 0, said: '' });
  const { nodes } = await lab.cephJson<Tree>('osd', 'tree');
  expect(nodes.find(({ name }) => name === 'ceph-osd-05')?.children).toHaveLength(2);
  const second = await ada.cephflow(
    ...[
      'run',
      'add-node',
      '--param',
      'name=ceph-osd-05',
      '--param',
      'beside=ceph-osd-04',
      '--param',
      'osds=2',
    ],
  );
  expect(second.code).toBe(0);
  const { osds } = await lab.cephJson<{ osds: { up: number }[] }>('osd', 'dump');
  expect(osds.map(({ up }) => up)).toEqual(Array(10).fill(1));
  expect((await lab.verifyObjects()).bad).toEqual([]);
}, 300_000);

it('a node that brings fewer devices than it should have OSDs waits, and says why', async () => {
  await lab.addNode('ceph-osd-06', { devices: 1 });
  const started = await ada.json<Head>(
    ...[
      'run',
      'add-node',
      '--param',
      'name=ceph-osd-06',
      '--param',
      'beside=ceph-osd-04',
      '--param',
      'osds=2',
      '--detach',
    ],
  );
  interface Shown {
    readonly steps: readonly { id: string; waiting?: { reason: string } }[];
  }
  const reason = await until('osd.create waits', 90, async () => {
    const { steps } = await ada.json<Shown>('show', started.run);
    return steps.find(({ id }) => id === 'fill')?.waiting?.reason;
  });
  expect(reason).toBe('ceph-osd-06 offers devices for 1 OSDs, and 2 are needed');
  await ada.cephflow('abort', started.run, '--reason', 'a disk is missing');
  await until(
    'the run ends',
    60,
    async () => (await ada.json<Head>('show', started.run)).state === 'aborted',
  );
  const { osds } = await lab.cephJson<{ osds: unknown[] }>('osd', 'dump');
  expect(osds).toHaveLength(10);
}, 200_000);
