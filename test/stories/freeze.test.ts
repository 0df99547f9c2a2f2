import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { findEmbeddedRedis } from '../../src/engine/embedded.ts';
import { until } from '../lab/until.ts';
import { atTheLab, dumpedOsds, openSilences, type Shown, showLatest } from './at-the-lab.ts';
import { type Operator, operator } from './operator.ts';

const at = atTheLab({ extraConfig: 'engine: { poll: 1s }\n', objects: { count: 200, sizeBytes: 262_144 } });
let bob: Operator | undefined;
afterAll(() => bob?.leave());

/** Steps of a run that wait for this. */
const waitingFor = (run: Shown, text: string) =>
  run.steps.flatMap(({ id, waiting }) => (waiting?.reason.includes(text) ? [{ id, ...waiting }] : []));

/** Kill the embedded Redis while its agent, which would start it again, is stopped; do something; let both go on. */
async function withRedisKilled(work: () => Promise<void>): Promise<void> {
  const { stateDir } = at.ada;
  const agent = (await at.ada.agentPid()) ?? 0;
  const redis = await findEmbeddedRedis(stateDir);
  if (agent === 0 || !redis) throw new Error('no agent works');
  process.kill(agent, 'SIGSTOP');
  try {
    process.kill(redis.pid, 'SIGKILL');
    await until('Redis is gone', 20, async () => (await findEmbeddedRedis(stateDir)) === undefined);
    await work();
    expect(await findEmbeddedRedis(stateDir)).toBeUndefined();
  } finally {
    process.kill(agent, 'SIGCONT');
  }
}

it('freeze: with Redis killed the button still works; waits go on, nothing is acted on, and unfreeze lets the run go on', async () => {
  await at.lab.slowRecovery(0.2);
  const words = ['replace', '--node', 'ceph-osd-03', '--confirm', 'ceph-osd-03', '--detach'];
  expect(await at.ada.cephflow(...words)).toMatchObject({ code: 0 });
  await until('the node is drained', 120, async () =>
    (await showLatest(at)).steps.some(
      ({ id, state }) => id.startsWith('osd.wait-empty') && state === 'waiting',
    ),
  );

  await withRedisKilled(async () => {
    const frozen = await at.ada.cephflow('freeze', '--reason', 'switch reboot');
    expect(frozen.code).toBe(0);
    expect(frozen.stderr).toMatch(/^lab is frozen by ada@\S+ since \S+Z: switch reboot\n/);
    expect(frozen.stderr).toContain(
      `REDIS_UNREACHABLE: the embedded Redis of ${at.ada.stateDir} does not run`,
    );
  });

  await at.lab.fastRecovery();
  const stopped = await until('the drain has ended, and the next act waits', 180, async () => {
    const run = await showLatest(at);
    return waitingFor(run, 'switch reboot').length > 0 && run;
  });
  expect(waitingFor(stopped, 'switch reboot')).toMatchObject([
    { id: 'osd.stop@osd.4', reason: expect.stringMatching(/^frozen by ada@\S+ since \S+Z: switch reboot$/) },
  ]);
  expect((await dumpedOsds(at)).map(({ up }) => up)).toEqual(Array(8).fill(1));
  expect(await openSilences(at)).toHaveLength(1);
  expect((await at.ada.cephflow('runs')).stderr).toMatch(
    /^lab is frozen by ada@\S+ since \S+Z: switch reboot\n/,
  );
  expect((await at.ada.cephflow('doctor')).stdout).toMatch(/^warn +freeze +lab is frozen by ada@/m);

  const again = await at.ada.cephflow('freeze', '--reason', 'another one');
  expect(again.stderr).toMatch(/^lab is already frozen by ada@\S+ since \S+Z: switch reboot\n/);
  const thawed = await at.ada.cephflow('unfreeze');
  expect(thawed.code).toBe(0);
  expect(thawed.stderr).toMatch(/^lab is no longer frozen, by word of ada@\S+ \(it was frozen by ada@/);
  await until('the run goes on', 120, async () => (await dumpedOsds(at)).length === 6);
}, 600_000);

async function isInCrush(node: string): Promise<boolean> {
  const tree = await at.lab.cephJson<{ nodes: readonly { name: string }[] }>('osd', 'tree');
  return tree.nodes.some(({ name }) => name === node);
}

interface Instance {
  readonly own: string;
  readonly isOurs: boolean;
  readonly record?: { readonly instance: string; readonly stateDir: string; readonly taken?: object };
}

it('instance: a second cephflow acts on nothing there until a person gives it the cluster, and lets go of it', async () => {
  const { own, ...seen } = await at.ada.json<Instance>('instance', 'show');
  expect(seen).toMatchObject({ isOurs: true, record: { instance: own, stateDir: at.ada.stateDir } });
  bob = await operator(at.lab.configFile, { USER: 'bob' });
  await at.lab.addNode('ceph-osd-05');
  const params = ['name=ceph-osd-05', 'beside=ceph-osd-04', 'osds=2'].flatMap((one) => ['--param', one]);
  // while ada's run takes the old node out, a plan of bob's may be stale before it is begun
  await until('bob’s run begins', 120, async () => {
    return (await (bob as Operator).cephflow('run', 'add-node', ...params, '--detach')).code === 0;
  });
  const latest = async (of: Operator) => of.json<Shown>('show', '@latest');
  const blocked = await until('bob’s run waits', 60, async () => {
    const [wait] = waitingFor(await latest(bob as Operator), 'is acted on by');
    return wait;
  });
  expect(blocked.reason).toMatch(
    new RegExp(
      `^cluster lab is acted on by instance ${own} \\(host \\S+, since \\S+Z\\): end its runs, or take over with cephflow instance take --cluster lab$`,
    ),
  );
  expect(await isInCrush('ceph-osd-05')).toBe(false);
  expect((await bob.cephflow('doctor')).stdout).toMatch(
    new RegExp(`^warn +instance +lab is acted on by instance ${own} `, 'm'),
  );

  const { code, stderr } = await bob.cephflow('instance', 'release');
  expect({ code, stderr }).toMatchObject({
    code: 4,
    stderr: [
      'CONTROL_REFUSED  lab cannot be released: a run of this instance would claim it again with the next act',
      '  let them end, or abort them; cephflow runs --unfinished lists them\n',
    ].join('\n'),
  });
  const unsure = await bob.cephflow('instance', 'take', '--reason', 'ada has left', '--confirm', 'lap');
  expect({ code: unsure.code, said: unsure.stderr }).toMatchObject({
    code: 64,
    said: expect.stringContaining(`--confirm says lap, but the cluster is lab (${at.lab.fsid})`),
  });
  const taken = await bob.cephflow('instance', 'take', '--reason', 'ada has left', '--confirm', at.lab.fsid);
  expect(taken.code).toBe(0);
  expect(taken.stderr).toContain(`taken from instance ${own} (host `);
  expect(await bob.json<Instance>('instance', 'show')).toMatchObject({
    isOurs: true,
    record: { taken: { by: expect.stringMatching(/^bob@/), reason: 'ada has left' } },
  });
  await until('bob’s run acts', 60, () => isInCrush('ceph-osd-05'));
  await bob.cephflow('abort', '@latest', '--reason', 'enough seen');
  await until('bob’s run ends', 60, async () => (await latest(bob as Operator)).state === 'aborted');
  // its agent, idle for a minute, ends and lets go by itself
  await until('the record is gone', 150, async () => {
    return !(await at.lab.cephJson<readonly string[]>('config-key', 'ls')).includes('cephflow/instance');
  });
  const retake = await bob.cephflow('instance', 'take', '--reason', 'once more', '--confirm', 'lab');
  expect(retake.stderr).toContain('taken from nobody');
  expect(await bob.cephflow('instance', 'release')).toMatchObject({ code: 0 });
  expect((await at.ada.json<Instance>('instance', 'show')).record).toBeUndefined();
}, 400_000);

it('freeze: a key that may not see the markers is told what to grant, and ends with 77', async () => {
  const config = join(at.ada.stateDir, 'readonly.yaml');
  const ceph = { via: 'local', conf: at.lab.conf, keyring: at.lab.readOnlyKeyring, name: 'client.readonly' };
  await writeFile(config, JSON.stringify({ clusters: { lab: { ceph } } }), { mode: 0o600 });
  const frozen = await at.ada.cephflow('--config', config, 'freeze', '--reason', 'x');
  expect(frozen.code).toBe(77);
  expect(frozen.stderr).toContain(
    'add to the mon caps of client.readonly (see `ceph auth get client.readonly`): ',
  );
  const doctor = await at.ada.cephflow('--config', config, 'doctor');
  expect(doctor.stdout).toMatch(/^FAIL +freeze +CEPH_NOT_PERMITTED/m);
}, 60_000);
