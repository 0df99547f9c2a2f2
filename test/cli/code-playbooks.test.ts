import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { type Desk, openDesk } from './built.ts';
import { freePort } from './free-port.ts';
import { startWorkerProcess } from './worker-child.ts';

let desk: Desk;
let server: PrivateRedis;
let config: string;
let stopWorker: () => Promise<void>;

/** What an empty cluster answers; it keeps the marker of the instance that works with it. */
const ceph = `#!/bin/sh
marker="$(dirname "$0")/marker"
case "$*" in
*"osd dump"*) echo '{"epoch":1,"fsid":"f51d","flags_set":[],"backfillfull_ratio":0.9,"osds":[],"pools":[]}' ;;
*"osd tree"*) echo '{"nodes":[],"stray":[]}' ;;
*"health detail"*) echo '{"status":"HEALTH_OK","checks":{}}' ;;
*"config-key dump"*) cat "$marker" 2>/dev/null || echo '{}' ;;
*"config-key set"*)
  value=$(printf %s "$6" | sed 's/"/\\\\"/g')
  printf '{"%s":"%s"}' "$5" "$value" >"$marker.$$" && mv "$marker.$$" "$marker" ;;
*) echo "unknown: $*" >&2; exit 22 ;;
esac
`;

const square = `import { integer, task } from 'cephflow';
export default task({
  name: 'number.square',
  summary: 'Square a number',
  risk: 'changes',
  params: { n: integer('The number', { default: 3 }) },
  output: { n: 'Its square' },
  run: async ({ n }) => ({ n: n * n }),
});
`;
const sum = `import { json, task } from 'cephflow';
export default task({
  name: 'number.sum',
  summary: 'Add numbers up',
  risk: 'changes',
  params: { list: json('The numbers') },
  output: { sum: 'Their sum' },
  run: async ({ list }) => ({ sum: (list as number[]).reduce((a, b) => a + b, 0) }),
});
`;
const squares = `import { chord, integer, playbook, previous, step } from 'cephflow';
export default playbook({
  name: 'sum-squares',
  summary: 'Square numbers and add them up',
  params: { count: integer('How many', { min: 1, max: 100, default: 2 }) },
  build({ count }: { count: number }) {
    const header = Array.from({ length: count }, (_, n) => step('number.square', { n: n + 1 }));
    return chord([...header, step('number.square')], step('number.sum', { list: previous('n') }));
  },
});
`;

beforeAll(async () => {
  const port = await freePort();
  server = await startRedis(['--port', String(port), '--bind', '127.0.0.1']);
  desk = openDesk();
  chmodSync(desk.write('ceph', ceph), 0o700);
  for (const folder of ['tasks', 'playbooks']) mkdirSync(join(desk.dir, folder));
  desk.write('tasks/number.square.mts', square);
  desk.write('tasks/number.sum.mts', sum);
  desk.write('playbooks/sum-squares.mts', squares);
  config = desk.write(
    'config.yaml',
    `clusters: { lab: { ceph: { command: ${desk.dir}/ceph } } }
redis: { url: "redis://127.0.0.1:${port}/0" }
tasks: [tasks]
playbooks: [playbooks]
`,
  );
  stopWorker = startWorkerProcess(desk, config);
});
afterAll(async () => {
  await stopWorker();
  desk.leave();
  await server.stop();
});

const type = (...words: readonly string[]) => desk.type(['--config', config, ...words]);

test('cephflow run: a playbook in code, with its values, to its end', async () => {
  const ran = await type('run', 'sum-squares', '--param', 'count=4', '--payload', '{"ticket":7}');
  expect(ran).toMatchObject({ code: 0 });
  const { stdout } = await type('show', '@latest', '-o', 'json');
  const shown = JSON.parse(stdout);
  expect(shown).toMatchObject({ state: 'succeeded', params: { count: 4 }, payload: { ticket: 7 } });
  // 1 + 4 + 9 + 16, and the square of the task's default
  expect(shown.steps.at(-1)).toMatchObject({ id: 'number.sum', output: { sum: 30 + 9 } });
});

test('cephflow plan: one by the path of its file, and what it does not take', async () => {
  const planned = await type('plan', join(desk.dir, 'playbooks/sum-squares.mts'), '-o', 'json');
  expect(planned.code).toBe(0);
  expect(JSON.parse(planned.stdout).plan.steps).toHaveLength(4);
  expect(await type('plan', 'sum-squares', '--param', 'cuont=1')).toEqual({
    code: 64,
    stdout: '',
    stderr: [
      'PARAM_INVALID  sum-squares has no parameter "cuont": it takes count. Did you mean "count"?',
      '  what it takes: cephflow playbooks sum-squares',
    ].join('\n'),
  });
  expect((await type('plan', 'sum-sqares')).stderr).toContain(
    'there is no playbook sum-sqares. Did you mean "sum-squares"?',
  );
});

test('cephflow playbooks and lint: know those in code, and what is wrong with them', async () => {
  const { stdout } = await type('playbooks', '-o', 'json');
  const found = JSON.parse(stdout).find(({ name }: { name: string }) => name === 'sum-squares');
  expect(found).toEqual({
    name: 'sum-squares',
    summary: 'Square numbers and add them up',
    file: 'DESK/playbooks/sum-squares.mts',
    params: { count: { kind: 'integer', about: 'How many', min: 1, max: 100, hasDefault: true } },
  });
  expect(await type('lint', 'sum-squares')).toMatchObject({
    code: 0,
    stderr: 'a playbook checked, no mistakes',
  });
  desk.write('none.mjs', 'export default 42;');
  desk.write('other.mts', squares);
  expect(await type('lint', join(desk.dir, 'none.mjs'), join(desk.dir, 'other.mts'))).toEqual({
    code: 78,
    stderr: '',
    stdout: [
      'DESK/none.mjs:1:1  its default export is no playbook: write `export default playbook({ … })`',
      'DESK/other.mts:1:1  it holds playbook sum-squares: call the file sum-squares.mts',
    ].join('\n'),
  });
});
