import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { waitUntil } from '../../src/engine/processes.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import type { Store } from '../../src/engine/store.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { makeSshd, type Sshd } from '../remote/sshd.ts';
import { planOf } from './plans.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';

const limitMs = 30_000;
const node = 'ceph-osd-07';
/** Where root's locks are. */
const locks = '/run/cephflow';
const main = resolve(import.meta.dirname, 'node-worker-main.ts');

/**
 * Stands for systemctl on the node: it writes down what begins and ends, and is as slow as the test wants. The first
 * one fails to bring anything about while there is the file `lame`.
 */
const systemctl = (folder: string) => `#!/bin/sh
cd ${folder}
for unit in "$@"; do :; done
unit=\${unit#ceph-osd@} unit=\${unit%.service}
if [ "$1" = is-active ]; then
  if [ -e "up.$unit" ]; then echo active; else echo inactive; exit 3; fi
  exit 0
fi
trap 'echo "stopped $unit" >> log; exit 1' TERM
for other in pid.*; do
  if [ -e "$other" ] && kill -0 "\${other#pid.}" 2>/dev/null; then echo "two at once" >> log; fi
done
: > "pid.$$"
echo "begin $unit" >> log
while ! [ -e go ]; do sleep 0.1; done
if [ -e lame ]; then rm lame; else : > "up.$unit"; fi
echo "end $unit" >> log
`;

let redis: PrivateRedis;
let sshd: Sshd;
/** What the node has: its programs, the log, and the files by which the test holds its commands back. */
let folder: string;
let prefix: string;
let store: Store;
const workers: ChildProcess[] = [];

beforeAll(async () => {
  redis = await startRedis();
  folder = mkdtempSync(join(tmpdir(), 'cephflow-node-'));
  sshd = makeSshd({ programs: join(folder, 'bin') });
  await sshd.start();
});
afterAll(async () => {
  await sshd.remove();
  await redis.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  rmSync(folder, { recursive: true });
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'bin', 'systemctl'), systemctl(folder));
  chmodSync(join(folder, 'bin', 'systemctl'), 0o755);
  writeFileSync(join(folder, 'known_hosts'), `[${node}]:${sshd.port} ${sshd.hostKey('ed25519')}\n`);
  writeFileSync(join(folder, 'config.yaml'), configText());
  prefix = `t${Math.random().toString(36).slice(2)}`;
  store = await openStore(await connectRedis(redis.socket, 'producer'), { prefix });
});
afterEach(async () => {
  make('go');
  await Promise.all(workers.splice(0).map((worker) => end(worker, 'SIGKILL')));
  const runs = (await store.listRuns()).map(({ run }) => run);
  await store.close();
  const left = readdirSync(locks).filter((name) => runs.some((run) => name.startsWith(run)));
  for (const name of left) rmSync(join(locks, name));
});

const configText = () => `clusters:
  lab:
    ssh:
      user: root
      port: ${sshd.port}
      key: ${sshd.key}
      known-hosts: ${folder}/known_hosts
      hosts: { ${node}: ${sshd.address} }
`;

function work(name: string): ChildProcess {
  const words = ['--conditions=cephflow:source', '--import', import.meta.resolve('tsx'), main];
  const args = [redis.socket, prefix, name, join(folder, 'config.yaml')];
  const worker = spawn(process.execPath, [...words, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  workers.push(worker);
  return worker;
}

async function end(worker: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const ended = new Promise((done) => worker.once('exit', done));
  worker.kill(signal);
  await ended;
}

const make = (name: string) => writeFileSync(join(folder, name), '');
const log = () =>
  existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').trimEnd().split('\n') : [];
const logged = (line: string) => waitUntil(async () => log().includes(line), limitMs);
const start = (units: string) =>
  store.createRun(
    planOf([{ id: 'start', task: 'daemons.start', with: { node, units } }], {
      tasks: { 'daemons.start': 'h1' },
    }),
    { by: 'ann' },
  );
const view = async (run: string) => (await store.snapshot(run)).views[0];
const hasSucceeded = (run: string) =>
  waitUntil(async () => (await store.snapshot(run)).state === 'succeeded', limitMs);
const waitsForCommand = (run: string) =>
  waitUntil(async () => {
    const reason = (await view(run))?.waiting?.reason ?? '';
    return reason.startsWith(`the command that start began on ${node} still runs there (process group `);
  }, limitMs);

/** Commands on the node at once, at most. */
function mostAtOnce(): number {
  let [now, most] = [0, 0];
  for (const line of log()) {
    now += line.startsWith('begin') ? 1 : -1;
    most = Math.max(most, now);
  }
  return most;
}

test('remote lock: a worker killed during a slow command leaves it running, and its successor waits and adopts', async () => {
  const first = work('one');
  const run = await start('7');
  expect(await logged('begin 7')).toBe(true);
  await end(first, 'SIGKILL');
  work('two');
  expect(await waitsForCommand(run)).toBe(true);
  expect(log()).toEqual(['begin 7']);
  make('go');
  expect(await hasSucceeded(run)).toBe(true);
  expect(log()).toEqual(['begin 7', 'end 7']);
  expect(await view(run)).toMatchObject({ state: 'succeeded', acted: true });
}, 120_000);

test('remote lock: where the command of a killed worker came to nothing, the next begins after it has ended', async () => {
  make('lame');
  const first = work('one');
  const run = await start('7');
  expect(await logged('begin 7')).toBe(true);
  await end(first, 'SIGKILL');
  work('two');
  expect(await waitsForCommand(run)).toBe(true);
  make('go');
  expect(await hasSucceeded(run)).toBe(true);
  expect(log()).toEqual(['begin 7', 'end 7', 'begin 7', 'end 7']);
}, 120_000);

test('remote lock: a worker that stood still while another took over begins nothing more', async () => {
  const first = work('one');
  const run = await start('7,8');
  expect(await logged('begin 7')).toBe(true);
  first.kill('SIGSTOP');
  work('two');
  expect(await waitsForCommand(run)).toBe(true);
  make('go');
  expect(await hasSucceeded(run)).toBe(true);
  const before = log();
  expect(before.at(-1)).toBe('end 8');
  first.kill('SIGCONT');
  await end(first, 'SIGTERM'); // it ends in good order, when what was under way has ended
  expect(log()).toEqual(before);
  expect(mostAtOnce()).toBe(1);
  const kinds = (await store.events(run, '0')).map(({ kind, state }) => `${kind} ${state}`);
  expect(kinds.filter((kind) => kind === 'step-state-changed succeeded')).toHaveLength(1);
}, 120_000);

test('remote lock: a worker that wakes up without its lease ends its command, and only then the next begins', async () => {
  const first = work('one');
  const run = await start('7');
  expect(await logged('begin 7')).toBe(true);
  first.kill('SIGSTOP');
  work('two');
  expect(await waitsForCommand(run)).toBe(true);
  first.kill('SIGCONT');
  const begins = () => log().filter((line) => line === 'begin 7').length;
  expect(await waitUntil(async () => begins() === 2, limitMs)).toBe(true);
  make('go');
  expect(await hasSucceeded(run)).toBe(true);
  // whether the first one had a moment to say that it was stopped is up to the shell; that it was gone is not
  expect(log().filter((line) => line !== 'stopped 7')).toEqual(['begin 7', 'begin 7', 'end 7']);
}, 120_000);
