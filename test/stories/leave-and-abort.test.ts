import { expect, it } from 'vitest';
import { until } from '../lab/until.ts';
import { atTheLab, dumpedOsds, openSilences, type Shown } from './at-the-lab.ts';

const at = atTheLab({ extraConfig: 'engine: { poll: 1s }\n', objects: { count: 200, sizeBytes: 262_144 } });

interface Tree {
  readonly nodes: readonly { name: string; type: string; children?: readonly number[] }[];
}

it('^C leaves and the run goes on; another terminal follows it; an abort gives back what it held, and both are told', async () => {
  await at.lab.slowRecovery(0.3);
  const replace = at.ada.start('replace', '--node', 'ceph-osd-03', '--confirm', 'ceph-osd-03');
  await replace.says(/osd\.wait-empty@osd\.4 +waiting/, 90);
  replace.kill('SIGINT');
  const left = await replace.ended;
  expect(left.code).toBe(130);
  const [head] = await at.ada.json<Shown[]>('runs');
  const short = head?.run.slice(-4) ?? '';
  expect(left.stderr).toContain(`run ${short} goes on without you; come back with: cephflow watch ${short}`);
  expect(head?.state).toBe('running');

  const watch = at.ada.start('watch', short);
  await watch.says(/osd\.wait-empty@osd\.4/, 60);
  expect(await at.ada.cephflow('abort', short)).toMatchObject({ code: 64 });
  expect(await at.ada.cephflow('abort', short, '--reason', 'wrong node')).toMatchObject({ code: 0 });
  expect((await watch.ended).code).toBe(6);

  expect((await at.ada.json<Shown>('show', short)).state).toBe('aborted');
  expect(await openSilences(at)).toEqual([]);
  const again = await at.ada.cephflow('abort', short, '--reason', 'once more');
  expect(again.code).toBe(4);
  await at.lab.fastRecovery();
}, 300_000);

it('add-node: a new node comes in beside another, with an OSD on each device, and nothing else changes', async () => {
  await at.lab.addNode('ceph-osd-05');
  const add = await at.ada.cephflow(
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
  const { nodes } = await at.lab.cephJson<Tree>('osd', 'tree');
  expect(nodes.find(({ name }) => name === 'ceph-osd-05')?.children).toHaveLength(2);
  const second = await at.ada.cephflow(
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
  expect((await dumpedOsds(at)).map(({ up }) => up)).toEqual(Array(10).fill(1));
  expect((await at.lab.verifyObjects()).bad).toEqual([]);
}, 300_000);

it('a node that brings fewer devices than it should have OSDs waits, and says why', async () => {
  await at.lab.addNode('ceph-osd-06', { devices: 1 });
  const started = await at.ada.json<Shown>(
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
  const reason = await until('osd.create waits', 90, async () => {
    const { steps } = await at.ada.json<Shown>('show', started.run);
    return steps.find(({ id }) => id === 'fill')?.waiting?.reason;
  });
  expect(reason).toBe('ceph-osd-06 offers devices for 1 OSDs, and 2 are needed');
  await at.ada.cephflow('abort', started.run, '--reason', 'a disk is missing');
  await until(
    'the run ends',
    60,
    async () => (await at.ada.json<Shown>('show', started.run)).state === 'aborted',
  );
  expect(await dumpedOsds(at)).toHaveLength(10);
}, 200_000);
