import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../lab/until.ts';
import { atTheLab, dumpedOsds, purgedOsds, showLatest } from './at-the-lab.ts';

const at = atTheLab({
  extraConfig: 'engine: { poll: 1s, lease: 5s }\n',
  objects: { count: 400, sizeBytes: 262_144 },
});

const stateOf = async (id: string) => (await showLatest(at)).steps.find((step) => step.id === id)?.state;

/** Kill the worker as a power cut would, and see that it is gone. */
async function killWorker(): Promise<number> {
  const pid = await at.ada.agentPid();
  if (pid === undefined) throw new Error('there is no agent to kill');
  process.kill(pid, 'SIGKILL');
  await until('the worker is gone', 10, async () => (await at.ada.agentPid()) === undefined);
  return pid;
}

/** Any command brings a dead worker back. */
async function comeBack(dead: number): Promise<void> {
  expect(await at.ada.cephflow('runs')).toMatchObject({ code: 0 });
  await until('another worker is there', 30, async () => {
    const pid = await at.ada.agentPid();
    return pid !== undefined && pid !== dead;
  });
}

it('a worker killed in the drain, between stop and purge, and while OSDs are made: the run goes on, nothing is destroyed twice', async () => {
  await at.lab.slowRecovery(0.1);
  const started = await at.ada.cephflow(
    'replace',
    '--node',
    'ceph-osd-02',
    '--confirm',
    'ceph-osd-02',
    '--detach',
  );
  expect(started).toMatchObject({ code: 0 });

  await until('the drain goes on', 60, async () => (await stateOf('osd.wait-empty@osd.2')) === 'waiting');
  await comeBack(await killWorker());
  await at.lab.fastRecovery();

  await until('osd.2 is stopped', 180, async () => (await stateOf('osd.stop@osd.2')) === 'succeeded');
  await comeBack(await killWorker());

  await until('the technicians are asked', 180, async () => {
    const { steps } = await showLatest(at);
    const unsure = steps.find((step) => step.id.startsWith('osd.purge') && step.waiting?.question);
    // killed in the very moment of the purge, with no sign of what became of it: the person looks, and lets it be tried
    if (unsure)
      await at.ada.cephflow('approve', '@latest', unsure.id, '--comment', 'looked: it is still there');
    return steps.some((step) => step.id === 'swapped' && step.waiting?.question);
  });

  const node = await at.lab.addNode('ceph-osd-02');
  await writeFile(join(node.dir, 'etc-ceph', 'lab-pace'), '2');
  expect(await at.ada.cephflow('approve', '@latest', '--comment', 'done')).toMatchObject({ code: 0 });
  await until(
    'OSDs are being made',
    120,
    async () => (await node.sh('pgrep', '-f', 'ceph-volume')).exitCode === 0,
  );
  await comeBack(await killWorker());
  await writeFile(join(node.dir, 'etc-ceph', 'lab-pace'), '0');

  await until('the run ends', 240, async () => (await showLatest(at)).state === 'succeeded');

  expect(await purgedOsds(at)).toEqual([2, 3]);
  // and from the epochs of the map: each uuid that left did so once, after one stop, and none of the new ones did
  const histories = [...(await at.lab.osdHistory()).values()].filter(({ id }) => id === 2 || id === 3);
  expect(
    histories
      .map(({ id, removals, downs }) => ({ id, removals, downs }))
      .sort((a, b) => b.removals - a.removals),
  ).toEqual([
    { id: 2, removals: 1, downs: 1 },
    { id: 3, removals: 1, downs: 1 },
    { id: expect.any(Number), removals: 0, downs: 0 },
    { id: expect.any(Number), removals: 0, downs: 0 },
  ]);
  expect((await dumpedOsds(at)).map(({ up }) => up)).toEqual(Array(8).fill(1));
  expect((await at.lab.verifyObjects()).bad).toEqual([]);
}, 600_000);
