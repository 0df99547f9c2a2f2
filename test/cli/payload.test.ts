import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRedis } from '../../src/engine/redis.ts';
import { openStore } from '../../src/engine/store-open.ts';
import { planOf } from '../engine/plans.ts';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { type Desk, openDesk } from './built.ts';
import { freePort } from './free-port.ts';

let desk: Desk;
let server: PrivateRedis;
let config: string;
beforeAll(async () => {
  const port = await freePort();
  server = await startRedis(['--port', String(port), '--bind', '127.0.0.1']);
  desk = openDesk();
  config = desk.write(
    'config.yaml',
    `clusters: { lab: {} }\nredis: { url: "redis://127.0.0.1:${port}/0" }\n`,
  );
});
afterAll(async () => {
  desk.leave();
  await server.stop();
});

test('cephflow show -o json: tells the payloads of the run and of its steps', async () => {
  const store = await openStore(await connectRedis(server.socket, 'producer'), { prefix: 'cephflow' });
  const steps = [{ id: 'a', payload: ['of a'] }, { id: 'b' }];
  const run = await store.createRun(planOf(steps, { payload: { ticket: 'DC-7' } }), { by: 'ann' });
  await store.close();
  const { code, stdout } = await desk.type(['--config', config, 'show', run, '-o', 'json']);
  expect(code).toBe(0);
  const shown = JSON.parse(stdout);
  expect(shown.payload).toEqual({ ticket: 'DC-7' });
  expect(shown.steps.map(({ payload }: { payload?: unknown }) => payload)).toEqual([['of a'], undefined]);
});

test('cephflow run: a payload that is no JSON is refused before anything else', async () => {
  const { code, stderr } = await desk.type(['--config', config, 'run', 'replace-node', '--payload', 'DC-7']);
  expect(code).toBe(64);
  const [first, hint] = stderr.split('\n');
  expect(first).toMatch(/^USAGE {2}--payload takes JSON: Unexpected token /);
  expect(hint).toBe(
    `  such as --payload '{"ticket": "DC-7"}'; a text has quotes of its own: --payload '"DC-7"'`,
  );
});
