import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { News } from '../../src/engine/hooks.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { planOf } from '../engine/plans.ts';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { type Desk, openDesk } from './built.ts';
import { freePort } from './free-port.ts';
import { startWorkerProcess } from './worker-child.ts';

const limitMs = 30_000;

let server: PrivateRedis;
let desk: Desk;
let url: string;
beforeAll(async () => {
  const port = await freePort();
  url = `redis://127.0.0.1:${port}/0`;
  server = await startRedis(['--port', String(port), '--bind', '127.0.0.1']);
  desk = openDesk();
});
afterAll(async () => {
  await server.stop();
  desk.leave();
});

const configWith = (hook: string) =>
  desk.write('config.yaml', `clusters: { lab: {} }\nredis: { url: "${url}" }\nhooks: [${hook}]\n`);

/** A run that does nothing, and ends well. */
async function startRun(): Promise<string> {
  const store = await openStore(await connectRedis(server.socket, 'producer'), { prefix: 'cephflow' });
  const plan = planOf([{ id: 'join', kind: 'barrier' }], { payload: 7 });
  const run = await store.createRun(plan, { by: 'ann' });
  await store.close();
  return run;
}

test('cephflow worker: tells the hooks of the config what happens', async () => {
  const file = join(desk.dir, 'told');
  const words = `[sh, -c, 'cat >> "$0"; echo >> "$0"', ${file}]`;
  const config = configWith(`{ on: run, states: [succeeded], command: ${words} }`);
  const end = startWorkerProcess(desk, config);
  try {
    const run = await startRun();
    const isTold = async () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n');
    expect(await waitUntil(isTold, limitMs)).toBe(true);
    const news = JSON.parse(readFileSync(file, 'utf8')) as News;
    expect(news).toMatchObject({ run, payload: 7, event: { state: 'succeeded' } });
  } finally {
    await end();
  }
});

test('cephflow worker: one that is killed while a hook takes the news leaves them to the next, with the same key', async () => {
  const told: (readonly [key: unknown, state: string])[] = [];
  const receiver = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const news = JSON.parse(Buffer.concat(pieces).toString()) as News;
    const isFirst = !told.some(([key]) => String(key).startsWith(news.run));
    told.push([request.headers['idempotency-key'], news.event.state]);
    // who tells the first of a run never learns that it was taken
    if (!isFirst) response.end();
  });
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
  const config = configWith(
    `{ on: run, webhook: "http://127.0.0.1:${(receiver.address() as AddressInfo).port}/" }`,
  );
  const run = await startRun();
  const first = startWorkerProcess(desk, config);
  const isMet = async () => told.some(([key]) => String(key).startsWith(run));
  expect(await waitUntil(isMet, limitMs)).toBe(true);
  await first('SIGKILL');
  const second = startWorkerProcess(desk, config);
  try {
    const mine = () => told.filter(([key]) => String(key).startsWith(run));
    expect(await waitUntil(async () => mine().length === 3, limitMs)).toBe(true);
    expect(mine().map(([, state]) => state)).toEqual(['running', 'running', 'succeeded']);
    expect(mine()[1]?.[0]).toBe(mine()[0]?.[0]);
  } finally {
    await second();
    receiver.closeAllConnections();
    await new Promise((done) => receiver.close(done));
  }
});
