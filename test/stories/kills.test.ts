import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';
import { type Operator, operator } from './operator.ts';

let lab: Lab;
let ada: Operator;

beforeAll(async () => {
  lab = await startLab({ extraConfig: 'engine: { poll: 1s, lease: 5s }\n' });
  await lab.loadObjects({ count: 400, sizeBytes: 262_144, seed: 'before' });
  ada = await operator(lab.configFile);
}, 120_000);
afterAll(async () => {
  await ada?.leave();
  await lab?.stop();
});

interface Shown {
  readonly state: string;
  readonly steps: readonly { id: string; state: string; waiting?: { reason: string; question?: string } }[];
}

const show = () => ada.json<Shown>('show', '@latest');
const stateOf = async (id: string) => (await show()).steps.find((step) => step.id === id)?.state;

/** Kill the worker as a power cut would, and see that it is gone. */
async function killWorker(): Promise<number> {
  const pid = await ada.agentPid();
  if (pid === undefined) throw new Error('there is no agent to kill');
  process.kill(pid, 'SIGKILL');
  await until('the worker is gone', 10, async () => (await ada.agentPid()) === undefined);
  return pid;
}

/** Any command brings a dead worker back. */
async function comeBack(dead: number): Promise<void> {
  expect(await ada.cephflow('runs')).toMatchObject({ code: 0 });
  await until('another worker is there', 30, async () => {
    const pid = await ada.agentPid();
    return pid !== undefined && pid !== dead;
  });
}

it('a worker killed in the drain, between stop and purge, and while OSDs are made: the run goes on, nothing is destroyed twice', async () => {
  await lab.slowRecovery(0.1);
  const started = await ada.cephflow(
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
  await lab.fastRecovery();

  await until('osd.2 is stopped', 180, async () => (await stateOf('osd.stop@osd.2')) === 'succeeded');
  await comeBack(await killWorker());

  await until('the technicians are asked', 180, async () => {
    const { steps } = await show();
    const unsure = steps.find((step) => step.id.startsWith('osd.purge') && step.waiting?.question);
    // killed in the very moment of the purge, with no sign of what became of it: the person looks, and lets it be tried
    if (unsure) await ada.cephflow('approve', '@latest', unsure.id, '--comment', 'looked: it is still there');
    return steps.some((step) => step.id === 'swapped' && step.waiting?.question);
  });

  const node = await lab.addNode('ceph-osd-02');
  await writeFile(join(node.dir, 'etc-ceph', 'lab-pace'), '2');
  expect(await ada.cephflow('approve', '@latest', '--comment', 'done')).toMatchObject({ code: 0 });
  await until(
    'OSDs are being made',
    120,
    async () => (await node.sh('pgrep', '-f', 'ceph-volume')).exitCode === 0,
  );
  await comeBack(await killWorker());
  await writeFile(join(node.dir, 'etc-ceph', 'lab-pace'), '0');

  await until('the run ends', 240, async () => (await show()).state === 'succeeded');

  const purges = (await lab.audit()).filter(({ prefix }) => prefix === 'osd purge-actual');
  expect(purges.map(({ words }) => Number(words['id'])).sort()).toEqual([2, 3]);
  // and from the epochs of the map: each uuid that left did so once, after one stop, and none of the new ones did
  const histories = [...(await lab.osdHistory()).values()].filter(({ id }) => id === 2 || id === 3);
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
  const { osds } = await lab.cephJson<{ osds: { up: number }[] }>('osd', 'dump');
  expect(osds.map(({ up }) => up)).toEqual(Array(8).fill(1));
  expect((await lab.verifyObjects()).bad).toEqual([]);
}, 600_000);
