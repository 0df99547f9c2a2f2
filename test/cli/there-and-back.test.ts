import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../src/engine/processes.ts';
import { emptyCeph } from './empty-ceph.ts';
import { short, storeDesk } from './store-desk.ts';
import { startWorkerProcess } from './worker-child.ts';

const limitMs = 30_000;

/** Writes what it does, and what it takes back, to a file. */
const note = (dir: string) => `import { appendFileSync } from 'node:fs';
import { task, text } from 'cephflow';
export default task({
  name: 'note.write',
  summary: 'Write a word down',
  risk: 'changes',
  params: { word: text('The word') },
  run: async ({ word }) => appendFileSync('${dir}/notes', '+' + word + ' '),
  undo: async ({ word }) => appendFileSync('${dir}/notes', '-' + word + ' '),
});
`;

const playbook = `playbook: notes
summary: Write two words down and ask
lock: ["rack/r1"]
steps:
  - { id: one, task: note.write, with: { word: one } }
  - { id: two, task: note.write, with: { word: two } }
  - { id: sure, task: person.confirm, with: { question: "Sure?" } }
`;

const desk = storeDesk(
  (dir) => `clusters: { lab: { ceph: { command: ${dir}/ceph } } }\ntasks: [tasks]\nplaybooks: [playbooks]\n`,
);
let endWorker: () => Promise<void>;
beforeAll(() => {
  const { dir, write } = desk.desk;
  chmodSync(write('ceph', emptyCeph), 0o700);
  for (const folder of ['tasks', 'playbooks']) mkdirSync(join(dir, folder));
  write('tasks/note.write.mts', note(dir));
  write('playbooks/notes.yaml', playbook);
  endWorker = startWorkerProcess(desk.desk, desk.config);
});
afterAll(() => endWorker());

const notes = () => {
  const file = join(desk.desk.dir, 'notes');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};
const begin = async (...words: readonly string[]) => {
  const started = await desk.type('RUN', ['run', 'notes', '--detach', '-q', ...words]);
  expect(started).toMatchObject({ code: 0 });
  return started.stdout;
};
const asks = async (run: string) => {
  const isAsked = async () =>
    (await desk.rig.store.snapshot(run)).views.some(({ waiting }) => waiting?.question !== undefined);
  expect(await waitUntil(isAsked, limitMs)).toBe(true);
};

test('a run is taken back by a worker, the last first, while another waits for its lock', async () => {
  const run = await begin();
  await asks(run);
  expect(notes()).toBe('+one +two ');

  const refused = await desk.type(run, ['run', 'notes', '--detach', '-q']);
  expect(refused).toEqual({
    code: 75,
    stdout: '',
    said: [
      'LOCK_HELD  run RUN holds rack/r1, which this run needs',
      '  see what it does with `cephflow show RUN`; this one can start when it has ended',
      '  or add --wait: it begins when the locks are free',
    ],
  });
  const { stdout } = await desk.type(run, ['run', 'notes', '--detach', '-q', '--wait', '-o', 'json']);
  const { run: waiting, state } = JSON.parse(stdout);
  expect(state).toBe('planned');

  const undone = await desk.type(run, ['undo', run, '--confirm', short(run), '--reason', 'wrong words']);
  expect(undone).toEqual({
    code: 0,
    stdout: '',
    said: [
      'run RUN is taken back in this order; then it gives back what it holds, and ends:',
      '  1. Take back: Write a word down: "two"',
      '  2. Take back: Write a word down: "one"',
      'run RUN is being taken back; follow with: cephflow watch RUN',
    ],
  });
  expect(await desk.type(run, ['watch', run])).toMatchObject({ code: 6 });
  expect(notes()).toMatch(/^\+one \+two -two -one /);
  const shown = await desk.type(run, ['show', run]);
  expect(shown.stdout).toContain(': UNDONE in ');
  expect(shown.stdout).toContain(', 2/2 taken back');

  await asks(waiting);
  expect(notes()).toBe('+one +two -two -one +one +two ');
  expect((await desk.type(waiting, ['approve', waiting])).code).toBe(0);
  expect((await desk.type(waiting, ['watch', waiting])).code).toBe(0);
  const late = await desk.type(waiting, ['undo', waiting, '--reason', 'r']);
  expect(late).toMatchObject({
    code: 4,
    said: [
      'CONTROL_REFUSED  cannot undo run RUN: the run is over: it succeeded',
      '  `cephflow show RUN` tells its state',
    ],
  });
});

test('with --wait a run whose locks are free begins at once', async () => {
  const run = await begin('--wait');
  await asks(run);
  expect((await desk.type(run, ['abort', run, '--reason', 'r'])).code).toBe(0);
  expect((await desk.type(run, ['watch', run])).code).toBe(6);
});
