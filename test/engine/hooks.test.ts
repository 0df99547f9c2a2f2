import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Hook, hookDuties, type News } from '../../src/engine/hooks.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import { openHookCursors } from '../../src/engine/store-hooks.ts';
import { createLocalShell } from '../../src/remote/local.ts';
import { planOf } from './plans.ts';
import { rigForEachTest } from './store-rig.ts';

const limitMs = 30_000;
const rig = rigForEachTest();

/** A receiver on this machine: what it was posted, and how it answers. */
const got: { news: News; key: unknown }[] = [];
let answer: (news: News) => number | Promise<number> = () => 204;
let server: Server;
let url: string;
let folder: string;
const lines: string[] = [];
const living = new AbortController().signal;

beforeEach(async () => {
  got.splice(0);
  lines.splice(0);
  answer = () => 204;
  folder = mkdtempSync(join(tmpdir(), 'cephflow-hooks-'));
  server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const news = JSON.parse(Buffer.concat(pieces).toString()) as News;
    got.push({ news, key: request.headers['idempotency-key'] });
    response.statusCode = await answer(news);
    response.end('said the receiver');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true });
});

const webhook = (more: Partial<Hook> = {}): Hook => ({
  on: 'run',
  target: { webhook: url },
  timeoutMs: 10_000,
  ...more,
});
const command = (...words: readonly string[]): Hook => ({
  on: 'run',
  target: { command: words },
  timeoutMs: 10_000,
});

/** What a leader would do; another call is another leader, which has nothing but what stands in Redis. */
const lead = (...hooks: readonly Hook[]) =>
  hookDuties(hooks, {
    store: rig.store,
    cursors: openHookCursors(rig.redis, rig.prefix),
    shell: createLocalShell(),
    pauseMs: 1,
    log: (line) => lines.push(line),
  });

/** Do rounds until it is so. */
async function roundsUntil(duties: ReturnType<typeof lead>, isSo: () => boolean): Promise<void> {
  const round = async () => {
    for (const duty of duties) await duty(living, 1);
    return isSo();
  };
  expect(await waitUntil(round, limitMs), `${lines.join('\n')} ${JSON.stringify(got)}`).toBe(true);
}

const told = () => got.map(({ news }) => news.event.state);

async function endedRun(more: Parameters<typeof planOf>[1] = {}): Promise<string> {
  const run = await rig.store.createRun(planOf([{ id: 'a' }], more), { by: 'ann' });
  await rig.pass(run, 0);
  return run;
}

test('hooks: a webhook is told everything about a step, once, in order, with a key', async () => {
  const plan = planOf(
    [
      { id: 'a', payload: { disk: 3 } },
      { id: 'b', after: [0] },
      { id: 'join', kind: 'barrier', after: [1] },
    ],
    { playbook: 'replace-node', target: 'ceph-osd-07', payload: 'DC-7' },
  );
  const run = await rig.store.createRun(plan, { by: 'ann' });
  const duties = lead(webhook({ on: 'step' }));
  await rig.pass(run, 0);
  await roundsUntil(duties, () => got.length === 1);
  await rig.pass(run, 1);
  await rig.pass(run, 2);
  await roundsUntil(duties, () => got.length === 2);
  const [first] = got;
  const seq = first?.news.event.seq;
  expect(first).toEqual({
    key: `${run}/${seq}`,
    news: {
      run,
      playbook: 'replace-node',
      cluster: 'lab',
      target: 'ceph-osd-07',
      payload: 'DC-7',
      event: {
        seq,
        atMs: Number(seq?.split('-')[0]),
        kind: 'step-state-changed',
        state: 'succeeded',
        step: 0,
        stepId: 'a',
        stepPayload: { disk: 3 },
      },
      idempotencyKey: `${run}/${seq}`,
    },
  });
  expect(got.map(({ news }) => news.event.stepId)).toEqual(['a', 'b']);
});

test('hooks: a command is told on its stdin', async () => {
  const file = join(folder, 'told');
  const run = await endedRun();
  await roundsUntil(lead(command('sh', '-c', 'cat >> "$0"; echo >> "$0"', file)), () => {
    return readLines(file).length === 2;
  });
  const all = readLines(file).map((line) => JSON.parse(line) as News);
  expect(all.map(({ run: of, event }) => [of, event.state])).toEqual([
    [run, 'running'],
    [run, 'succeeded'],
  ]);
});

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    // the command has not run yet
    return [];
  }
}

test('hooks: only the states and the playbook that a hook asks for', async () => {
  await endedRun();
  await endedRun({ playbook: 'other' });
  await roundsUntil(
    lead(webhook({ states: ['succeeded', 'aborted'], playbook: 'other' })),
    () => got.length > 0,
  );
  await roundsUntil(lead(webhook({ playbook: 'none' }), webhook()), () => got.length === 5);
  expect(got.map(({ news }) => [news.playbook, news.event.state])[0]).toEqual(['other', 'succeeded']);
});

test('hooks: a question to a person is told once, however often it is asked', async () => {
  const run = await rig.store.createRun(planOf([{ id: 'a' }]), { by: 'ann' });
  const duties = lead(webhook({ on: 'step' }));
  for (const question of [undefined, 'Ready?', 'Ready?', 'And now?']) {
    const waiting = { reason: 'a person', ...(question === undefined ? {} : { question }) };
    await rig.store.park(await rig.claim(run, 0), { untilMs: null, waiting });
    await rig.store.wake(run, 0);
  }
  await roundsUntil(duties, () => got.length === 2);
  expect(got.map(({ news: { event } }) => [event.state, event.text])).toEqual([
    ['waiting', 'Ready?'],
    ['waiting', 'And now?'],
  ]);
});

test('hooks: a leader that dies between delivery and record loses nothing; the same is told again with the same key', async () => {
  const run = await endedRun();
  const dying = new AbortController();
  answer = () => {
    dying.abort();
    return new Promise<number>(() => undefined);
  };
  const [first] = lead(webhook());
  await first?.(dying.signal, 1);
  expect(told()).toEqual(['running']);
  answer = () => 204;
  await roundsUntil(lead(webhook()), () => got.length === 3);
  expect(told()).toEqual(['running', 'running', 'succeeded']);
  expect(got[0]?.key).toBe(got[1]?.key);
  expect(got[1]).toEqual(got[0]);
  expect(got[2]?.news.run).toBe(run);
});

test('hooks: one leader after the other tells each event once', async () => {
  const run = await rig.store.createRun(planOf([{ id: 'a' }]), { by: 'ann' });
  await roundsUntil(lead(webhook()), () => got.length === 1);
  await rig.pass(run, 0);
  await roundsUntil(lead(webhook()), () => got.length === 2);
  await lead(webhook())[0]?.(living, 1);
  expect(told()).toEqual(['running', 'succeeded']);
});

test('hooks: one that refuses is tried again, then passed over; neither the run nor other hooks wait for it', async () => {
  const run = await endedRun();
  expect((await rig.store.snapshot(run)).state).toBe('succeeded');
  const file = join(folder, 'told');
  answer = ({ event }) => (event.state === 'running' ? 503 : 204);
  const duties = lead(webhook(), command('sh', '-c', 'cat >> "$0"; echo >> "$0"', file));
  await Promise.all(duties.map((duty) => duty(living, 1)));
  expect(readLines(file)).toHaveLength(2);
  expect(told()).toEqual(['running']);
  await roundsUntil(duties, () => told().includes('succeeded'));
  expect(told()).toEqual([...Array.from({ length: 8 }, () => 'running'), 'succeeded']);
  const { host } = new URL(url);
  const key = got[0]?.key;
  const said = `the hook on runs (webhook at ${host}) did not take ${key}: NOTIFICATION_FAILED: webhook at ${host} refused the message (HTTP 503): said the receiver`;
  expect(lines[0]).toBe(`${said}; tried again in 0.001 s`);
  expect(lines.at(-1)).toBe(`${said}; passed over after 8 tries`);
});

test('hooks: a command that fails or hangs is said with its name and how it ended', async () => {
  await endedRun();
  const hanging: Hook = { ...command('sleep', '60'), timeoutMs: 200 };
  await Promise.all(lead(command('sh', '-c', 'exit 3'), hanging).map((duty) => duty(living, 1)));
  expect(lines.toSorted()).toEqual([
    expect.stringMatching(
      /^the hook on runs \(command sh\) did not take \w+\/[\d-]+: COMMAND_FAILED: sh on .* ended with 3; tried again/,
    ),
    expect.stringMatching(
      /^the hook on runs \(command sleep\) did not take .*: COMMAND_TIMED_OUT: sleep did not end within 0.2 s .*; tried again/,
    ),
  ]);
});

test('hooks: nothing is kept of a run that is over and told', async () => {
  // started so long ago that no clock would have it be new
  const run = '00000000000000000000000old';
  const key = `${rig.prefix}:hook-cursors`;
  await rig.store.createRun(planOf([{ id: 'a' }]), { by: 'ann', run });
  const duties = lead(webhook());
  await roundsUntil(duties, () => got.length === 1);
  const fields = async () => (await rig.redis.hkeys(key)).filter((field) => field.includes(run));
  expect(await fields()).toHaveLength(1);
  await rig.pass(run, 0);
  await roundsUntil(duties, () => got.length === 2);
  const isFreed = async () => {
    await duties[0]?.(living, 1);
    return (await fields()).length === 0;
  };
  expect(await waitUntil(isFreed, limitMs)).toBe(true);
  expect(told()).toEqual(['running', 'succeeded']);
});
