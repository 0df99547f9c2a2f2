import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { News } from '../../src/engine/hooks.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { planOf } from '../engine/plans.ts';
import { startRedis } from '../engine/private-redis.ts';
import { openDesk } from './built.ts';
import { freePort } from './free-port.ts';

const program = resolve(import.meta.dirname, '../../bin/cephflow.js');
const limitMs = 30_000;

test('cephflow worker: tells the hooks of the config what happens', async () => {
  const port = await freePort();
  const server = await startRedis(['--port', String(port), '--bind', '127.0.0.1']);
  const desk = openDesk();
  const file = join(desk.dir, 'told');
  const config = desk.write(
    'config.yaml',
    `clusters: { lab: {} }
redis: { url: "redis://127.0.0.1:${port}/0" }
hooks: [{ on: run, states: [succeeded], command: [sh, -c, 'cat >> "$0"; echo >> "$0"', ${file}] }]
`,
  );
  const worker = spawn(process.execPath, [program, '--config', config, 'worker'], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] ?? '', HOME: desk.dir, USER: 'ada' },
  });
  const ended = new Promise((done) => worker.once('close', done));
  try {
    const store = await openStore(await connectRedis(server.socket, 'producer'), { prefix: 'cephflow' });
    const run = await store.createRun(planOf([{ id: 'join', kind: 'barrier' }], { payload: 7 }), {
      by: 'ann',
    });
    await store.close();
    const isTold = async () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n');
    expect(await waitUntil(isTold, limitMs)).toBe(true);
    const news = JSON.parse(readFileSync(file, 'utf8')) as News;
    expect(news).toMatchObject({ run, payload: 7, event: { state: 'succeeded' } });
  } finally {
    worker.kill('SIGTERM');
    await ended;
    await server.stop();
    desk.leave();
  }
});
