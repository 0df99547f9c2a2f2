import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../lab/until.ts';
import { atTheLab, purgedOsds, showLatest } from './at-the-lab.ts';

/**
 * The operator's own way to call ceph, which holds a purge back until the test lets it through. So the worker can be
 * killed when the act has begun and nobody can tell whether it will happen.
 */
const heldCeph = (dir: string) => `#!/bin/sh
case " $* " in *" osd purge "*) echo $$ > ${dir}/purging; until [ -e ${dir}/let-through ]; do sleep 0.1; done ;; esac
exec ceph "$@"
`;

const at = atTheLab({
  extraConfig: 'engine: { poll: 1s, lease: 3s }\n',
  objects: { count: 100, sizeBytes: 65_536 },
  async prepare(lab) {
    const command = join(lab.dir, 'held-ceph');
    await writeFile(command, heldCeph(lab.dir), { mode: 0o755 });
    const config = await readFile(at.lab.configFile, 'utf8');
    await writeFile(at.lab.configFile, config.replace('via: local', `via: local\n      command: ${command}`));
  },
});

const purging = () => readFile(join(at.lab.dir, 'purging'), 'utf8').catch(() => '');
/** Let what is held back go on, until so many OSDs are purged. */
async function letThrough(what: string, count: number): Promise<void> {
  const gate = join(at.lab.dir, 'let-through');
  await writeFile(gate, '');
  await until(what, 60, async () => (await purgedOsds(at)).length === count);
  await rm(gate);
}

/** Kill the worker in the middle of a purge, have the next one look, and give the question that it asks. */
async function killInPurge(step: string, alsoTheCommand: boolean): Promise<string> {
  const command = await until(
    `${step} has begun`,
    120,
    async () => Number.parseInt(await purging(), 10) || undefined,
  );
  const worker = await at.ada.agentPid();
  if (worker === undefined) throw new Error('there is no worker to kill');
  process.kill(worker, 'SIGKILL');
  if (alsoTheCommand) process.kill(-command, 'SIGKILL');
  await rm(join(at.lab.dir, 'purging'));
  await at.ada.cephflow('runs');
  return until(`${step} asks a person`, 60, async () => {
    const found = (await showLatest(at)).steps.find(({ id }) => id === step);
    return found?.waiting?.question;
  });
}

it('a purge whose end nobody knows waits for a person, and no OSD is purged twice', async () => {
  const started = await at.ada.cephflow(
    ...['decommission', '--node', 'ceph-osd-03', '--confirm', 'ceph-osd-03', '--detach'],
  );
  expect(started).toMatchObject({ code: 0 });

  // the worker and its command die: the purge never reached the cluster
  const question = await killInPurge('osd.purge@osd.4', true);
  expect(question).toBe(
    'the act of osd.purge@osd.4 was begun and its end is not known; by now it has not: osd.4 is in the OSD map. ' +
      'Look at the cluster; then approve to do it again, or mark the step as done if it is, or abort the run',
  );
  expect(await purgedOsds(at)).toEqual([]);
  expect(await at.ada.cephflow('approve', '@latest')).toMatchObject({ code: 0 });
  await until('it is tried again', 60, async () => (await purging()) !== '');
  await rm(join(at.lab.dir, 'purging'));
  await letThrough('osd.4 is purged', 1);

  // only the worker dies: its command goes on and purges; approved all the same, it is found done and not done again
  await killInPurge('osd.purge@osd.5', false);
  await letThrough('the orphaned command purges', 2);
  expect(await at.ada.cephflow('approve', '@latest')).toMatchObject({ code: 0 });

  await until('the run ends', 120, async () => (await showLatest(at)).state === 'succeeded');
  expect(await purgedOsds(at)).toEqual([4, 5]);
  expect((await at.lab.verifyObjects()).bad).toEqual([]);
}, 400_000);
