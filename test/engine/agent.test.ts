import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentStatus, ensureAgent, reviveAgent, stopAgent } from '../../src/engine/agent.ts';
import { findEmbeddedRedis, stopEmbeddedRedis } from '../../src/engine/embedded.ts';
import { isAlive, waitUntil } from '../../src/engine/processes.ts';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp('/tmp/cephflow-agent-');
  await setUnfinished(1);
});
afterEach(async () => {
  await stopAgent(stateDir);
  await stopEmbeddedRedis(stateDir);
  await rm(stateDir, { recursive: true });
});

const limitMs = 20_000;
const main = resolve(import.meta.dirname, 'agent-main.ts');
const options = (idleMs = 3_600_000) => ({
  stateDir,
  command: [process.execPath, '--import', import.meta.resolve('tsx'), main, stateDir, String(idleMs)],
  environment: { PATH: process.env['PATH'] ?? '' },
});
const setUnfinished = (count: number) => writeFile(join(stateDir, 'unfinished'), String(count));
const logged = () => readFile(join(stateDir, 'agent.log'), 'utf8');

test('agent: one works in the background, however many commands ask for it at once', async () => {
  const all = await Promise.all([1, 2, 3].map(() => ensureAgent(options())));
  const pids = new Set(all.map(({ pid }) => pid));
  expect(pids.size).toBe(1);
  expect(all.filter(({ isNew }) => isNew)).toHaveLength(1);
  expect(await agentStatus(stateDir)).toMatchObject({ pid: all[0]?.pid, state: 'working' });
  expect(await ensureAgent(options())).toEqual({ pid: all[0]?.pid, isNew: false });
  expect(await findEmbeddedRedis(stateDir)).toBeDefined();
  // the ones that came second are gone: none is left that would take over when the first is stopped
  const told = async () => (await logged()).split('another agent runs: nothing to do').length === 3;
  expect(await waitUntil(told, limitMs)).toBe(true);
});

test('agent: a killed one is seen as dead, and revived only when runs are unfinished', async () => {
  const { pid } = await ensureAgent(options());
  process.kill(pid, 'SIGKILL');
  expect(await waitUntil(async () => !isAlive(pid), limitMs)).toBe(true);
  expect(await agentStatus(stateDir)).toBeUndefined();
  expect(await reviveAgent({ ...options(), unfinished: async () => 0 })).toBe(false);
  expect(await reviveAgent({ ...options(), unfinished: async () => 2 })).toBe(true);
  expect((await agentStatus(stateDir))?.pid).not.toBe(pid);
  expect(await reviveAgent({ ...options(), unfinished: async () => 2 })).toBe(false);
});

test('agent: stop ends it, and Redis too unless runs are unfinished', async () => {
  const { pid } = await ensureAgent(options());
  const counted = async () => (await agentStatus(stateDir))?.unfinished === 1;
  expect(await waitUntil(counted, limitMs)).toBe(true);
  expect(await stopAgent(stateDir)).toEqual({ unfinished: 1 });
  expect(isAlive(pid)).toBe(false);
  expect(await findEmbeddedRedis(stateDir)).toBeDefined();
  await setUnfinished(0);
  await ensureAgent(options());
  const free = async () => (await agentStatus(stateDir))?.unfinished === 0;
  expect(await waitUntil(free, limitMs)).toBe(true);
  await stopAgent(stateDir);
  expect(await findEmbeddedRedis(stateDir)).toBeUndefined();
  expect(await stopAgent(stateDir)).toBeUndefined();
});

test('agent: one that is stopped at once has counted its runs, and its Redis stays', async () => {
  await setUnfinished(3);
  await ensureAgent(options());
  expect(await stopAgent(stateDir)).toEqual({ unfinished: 3 });
  expect(await findEmbeddedRedis(stateDir)).toBeDefined();
});

test('agent: what came since it last counted is counted when it is stopped', async () => {
  await setUnfinished(0);
  await ensureAgent(options());
  await setUnfinished(2);
  expect(await stopAgent(stateDir)).toEqual({ unfinished: 2 });
});

test('agent: tells the clusters and the config that it works with', async () => {
  await ensureAgent(options());
  expect((await agentStatus(stateDir))?.serves).toEqual({
    clusters: ['lab1'],
    files: ['/etc/cephflow/config.yaml'],
  });
});

test('agent: ends itself and Redis when there has been nothing to do for long', async () => {
  await setUnfinished(0);
  const { pid } = await ensureAgent(options(50));
  expect(await waitUntil(async () => !isAlive(pid), limitMs)).toBe(true);
  expect(await findEmbeddedRedis(stateDir)).toBeUndefined();
  expect(await logged()).toContain('the agent ends: idle; unfinished runs: 0');
});

test('agent: the pid of one that does not answer is believed only with its start time', async () => {
  const { pid } = await ensureAgent(options());
  process.kill(pid, 'SIGSTOP');
  const file = join(stateDir, 'agent.pid');
  const { startedAs } = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ pid, startedAs: '1' }));
  expect(await stopAgent(stateDir)).toBeUndefined();
  expect(isAlive(pid)).toBe(true);
  await writeFile(file, JSON.stringify({ pid, startedAs, unfinished: 0 }));
  process.kill(pid, 'SIGCONT');
  await stopAgent(stateDir);
  expect(isAlive(pid)).toBe(false);
});

test('agent: brings a dead Redis up again', async () => {
  await ensureAgent(options());
  const first = await findEmbeddedRedis(stateDir);
  process.kill(first?.pid ?? Number.NaN, 'SIGKILL');
  const isBack = async () => {
    const found = await findEmbeddedRedis(stateDir);
    return found !== undefined && found.pid !== first?.pid;
  };
  expect(await waitUntil(isBack, limitMs)).toBe(true);
});

test('agent: what keeps it from starting is told with the end of its log', async () => {
  const command = [process.execPath, '-e', 'console.error("no config"); process.exit(78)'];
  const error = await ensureAgent({ ...options(), command }).catch((thrown) => thrown);
  expect(error).toMatchObject({ message: 'the agent does not start', command: { exitCode: 78 } });
  expect(error.command.stderr).toBe('no config');
  expect(error.hint).toBe(`its log is ${stateDir}/agent.log`);
});
