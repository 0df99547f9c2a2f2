import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';
import { type Operator, operator, type Running } from './operator.ts';
import { type PrivateRedis, startRedis } from './redis.ts';

/**
 * The operator's own task: osd.stop that takes its time between the question and the act, so that without one lock over
 * both, two runs would each be told that their stop is harmless.
 */
const slowStop = `import { osd, requireOsd, task } from 'cephflow';
import { setTimeout as pause } from 'node:timers/promises';

export default task({
  name: 'osd.slow-stop',
  summary: 'Stop one OSD, slowly',
  risk: 'stops-service',
  params: { osd: osd('The OSD') },
  poll: '1s',
  async done({ osd }, { ceph }) {
    if (requireOsd(await ceph.osdMap(), osd).isUp) return { waitingFor: osd.name + ' is up' };
    const serving = (await ceph.placementGroups()).filter((pg) => pg.acting.includes(osd.id));
    return serving.length === 0 || { waitingFor: 'statistics still count on ' + osd.name };
  },
  async blockers({ osd }, { ceph }) {
    const { wouldBecomeInactive, wouldBecomeMoreDegraded } = await ceph.okToStop([osd]);
    return [...wouldBecomeInactive, ...wouldBecomeMoreDegraded].length === 0 ? [] : [osd.name + ' is needed'];
  },
  async run({ osd }, { machine }) {
    await pause(4000);
    await machine(osd.node).stopOsd(osd.id);
  },
});
`;

const playbook = `playbook: stop-one
summary: Stop one OSD
params:
  osd: { kind: osd, about: The OSD }
steps:
  - { task: osd.slow-stop, with: { osd: "\${params.osd}" } }
`;

let lab: Lab;
let redis: PrivateRedis;
let ada: Operator;
let folder: string;
const workers: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cf-own-'));
  await mkdir(join(folder, 'tasks'));
  await mkdir(join(folder, 'playbooks'));
  await writeFile(join(folder, 'tasks', 'osd.slow-stop.mts'), slowStop);
  await writeFile(join(folder, 'playbooks', 'stop-one.yaml'), playbook);
  redis = await startRedis();
  const own = `redis: { url: "${redis.url}" }\ntasks: ["${folder}/tasks"]\nplaybooks: ["${folder}/playbooks"]\n`;
  lab = await startLab({ extraConfig: `engine: { poll: 1s }\n${own}` });
  await lab.loadObjects({ count: 200, sizeBytes: 65_536, seed: 'before' });
  // a stopped OSD stays in: nothing heals, so that only its return makes the other stop harmless
  await lab.ceph('osd', 'set', 'noout');
  ada = await operator(lab.configFile);
  for (const name of ['one', 'two']) workers.push(ada.start('worker', '--name', name));
}, 120_000);
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGTERM');
  await Promise.all(workers.map((worker) => worker.ended));
  await ada?.leave();
  await redis?.stop();
  await lab?.stop();
  await rm(folder, { recursive: true });
});

interface Run {
  readonly state: string;
  readonly steps: readonly { id: string; state: string; waiting?: { reason: string } }[];
}

interface PgDump {
  readonly pg_stats: readonly { pgid: string; state: string; acting: number[] }[];
}

async function pgs(): Promise<PgDump['pg_stats']> {
  const dump = await lab.cephJson<{ pg_map?: PgDump } & Partial<PgDump>>('pg', 'dump', 'pgs');
  return dump.pg_stats ?? dump.pg_map?.pg_stats ?? [];
}

it('two workers, two runs, OSDs of two nodes: the second stop waits, and no PG stops serving', async () => {
  // two OSDs that share a PG: each may be stopped alone, never both
  const shared = (await pgs()).find((pg) => pg.acting.length === 3);
  const [first = -1, second = -1] = shared?.acting ?? [];
  const start = async (osd: number) => {
    const words = ['run', 'stop-one', '--param', `osd=osd.${osd}`, '--confirm', `osd.${osd}`, '--detach'];
    return (await ada.json<{ run: string }>(...words)).run;
  };
  const runs = await Promise.all([start(first), start(second)]);
  const shown = () => Promise.all(runs.map((run) => ada.json<Run>('show', run)));

  await until('one stop is done', 60, async () => (await shown()).some(({ state }) => state === 'succeeded'));
  const loser = await until('the other waits for its reason', 60, async () =>
    (await shown()).find(({ steps }) => steps.some((step) => step.waiting?.reason.includes('is needed'))),
  );
  expect(loser.state).toBe('running');
  expect((await pgs()).filter((pg) => !pg.state.startsWith('active'))).toEqual([]);
  const { osds } = await lab.cephJson<{ osds: { osd: number; up: number }[] }>('osd', 'dump');
  expect(osds.filter(({ up }) => up === 0)).toHaveLength(1);

  const stopped = osds.find(({ up }) => up === 0)?.osd ?? -1;
  await lab.sshTo(`ceph-osd-0${Math.floor(stopped / 2) + 1}`, `systemctl enable --now ceph-osd@${stopped}`);
  await until('the other stop is harmless now, and done', 90, async () =>
    (await shown()).every(({ state }) => state === 'succeeded'),
  );
}, 300_000);
