import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';
import { type Operator, operator } from './operator.ts';

/**
 * The operator's own way to call ceph, which holds a purge back until the test lets it through. So the worker can be
 * killed when the act has begun and nobody can tell whether it will happen.
 */
const heldCeph = (dir: string) => `#!/bin/sh
case " $* " in *" osd purge "*) echo $$ > ${dir}/purging; until [ -e ${dir}/let-through ]; do sleep 0.1; done ;; esac
exec ceph "$@"
`;

let lab: Lab;
let ada: Operator;

beforeAll(async () => {
  lab = await startLab({ extraConfig: 'engine: { poll: 1s, lease: 3s }\n' });
  await lab.loadObjects({ count: 100, sizeBytes: 65_536, seed: 'before' });
  const command = join(lab.dir, 'held-ceph');
  await writeFile(command, heldCeph(lab.dir));
  await chmod(command, 0o755);
  const config = await readFile(lab.configFile, 'utf8');
  await writeFile(lab.configFile, config.replace('via: local', `via: local\n      command: ${command}`));
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
const purging = () => readFile(join(lab.dir, 'purging'), 'utf8').catch(() => '');
const purged = async () =>
  (await lab.audit())
    .filter(({ prefix }) => prefix === 'osd purge-actual')
    .map(({ words }) => Number(words['id']));

/** Let what is held back go on, until so many OSDs are purged. */
async function letThrough(what: string, count: number): Promise<void> {
  const gate = join(lab.dir, 'let-through');
  await writeFile(gate, '');
  await until(what, 60, async () => (await purged()).length === count);
  await rm(gate);
}

/** Kill the worker in the middle of a purge, have the next one look, and give the question that it asks. */
async function killInPurge(step: string, alsoTheCommand: boolean): Promise<string> {
  const command = await until(
    `${step} has begun`,
    120,
    async () => Number.parseInt(await purging(), 10) || undefined,
  );
  const worker = await ada.agentPid();
  if (worker === undefined) throw new Error('there is no worker to kill');
  process.kill(worker, 'SIGKILL');
  if (alsoTheCommand) process.kill(-command, 'SIGKILL');
  await rm(join(lab.dir, 'purging'));
  await ada.cephflow('runs');
  return until(`${step} asks a person`, 60, async () => {
    const found = (await show()).steps.find(({ id }) => id === step);
    return found?.waiting?.question;
  });
}

it('a purge whose end nobody knows waits for a person, and no OSD is purged twice', async () => {
  const started = await ada.cephflow(
    ...['decommission', '--node', 'ceph-osd-03', '--confirm', 'ceph-osd-03', '--detach'],
  );
  expect(started).toMatchObject({ code: 0 });

  // the worker and its command die: the purge never reached the cluster
  const question = await killInPurge('osd.purge@osd.4', true);
  expect(question).toBe(
    'the act of osd.purge@osd.4 was begun and its end is not known; by now it has not: osd.4 is in the OSD map. ' +
      'Look at the cluster; then approve to do it again, or skip the step if it is done, or abort the run',
  );
  expect(await purged()).toEqual([]);
  expect(await ada.cephflow('approve', '@latest')).toMatchObject({ code: 0 });
  await until('it is tried again', 60, async () => (await purging()) !== '');
  await rm(join(lab.dir, 'purging'));
  await letThrough('osd.4 is purged', 1);

  // only the worker dies: its command goes on and purges; approved all the same, it is found done and not done again
  await killInPurge('osd.purge@osd.5', false);
  await letThrough('the orphaned command purges', 2);
  expect(await ada.cephflow('approve', '@latest')).toMatchObject({ code: 0 });

  await until('the run ends', 120, async () => (await show()).state === 'succeeded');
  expect(await purged()).toEqual([4, 5]);
  expect((await lab.verifyObjects()).bad).toEqual([]);
}, 400_000);
