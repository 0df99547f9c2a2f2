import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openKeeper } from './keeper.ts';
import { until } from './until.ts';

const goneSeconds = 20;

/** Pids, as seen from here, of the processes whose parent is `pid`. */
async function childrenOf(pid: number): Promise<number[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

it('keeper: everything inside is gone when its process is killed with SIGKILL', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cephflow-keeper-'));
  const script = join(import.meta.dirname, 'keeper-child.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  const daemon = await until(
    'the daemon is orphaned to the first process',
    goneSeconds,
    async () => (await childrenOf(pid))[0],
  );
  child.kill('SIGKILL');
  await until(
    'the namespace is gone',
    goneSeconds,
    async () => ![pid, daemon].some((one) => existsSync(`/proc/${one}`)),
  );
  await until('the directory is gone', goneSeconds, async () => !existsSync(dir));
});

it('keeper: stop waits until all is gone, and leaves the directory where asked to', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cephflow-keeper-'));
  const keeper = await openKeeper(dir, true);
  await keeper.must(['touch', join(dir, 'left')]);
  await keeper.stop();
  expect(existsSync(`/proc/${keeper.pid}`)).toBe(false);
  expect(await readdir(dir)).toEqual(['left']);
  await rm(dir, { recursive: true });
});

it('keeper: mounts and /run inside are not seen outside', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cephflow-keeper-'));
  const keeper = await openKeeper(dir, false);
  await keeper.must(['touch', '/run/of-the-lab']);
  expect(existsSync('/run/of-the-lab')).toBe(false);
  expect(await keeper.inside(['sh', '-c', 'echo said; echo told >&2; exit 3'])).toEqual({
    stdout: 'said',
    stderr: 'told',
    exitCode: 3,
  });
  await keeper.stop();
});
