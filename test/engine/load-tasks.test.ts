import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadTasks } from '../../src/engine/load-tasks.ts';
import { understandThrown } from '../../src/engine/thrown.ts';
import type { ActContext } from '../../src/task/context.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cephflow-tasks-'));
});
afterEach(() => rm(folder, { recursive: true }));

const source = `import { CephflowError, task, text } from 'cephflow';
export default task({
  name: 'disk.blink', summary: 'Blink', risk: 'changes', params: { slot: text('Slot') },
  async run({ slot }) { if (slot === 'bad') throw new CephflowError('NODE_UNSUITABLE', 'no such slot'); return null; },
});
`;

for (const extension of ['mts', 'mjs']) {
  test(`load-tasks: a .${extension} task outside the repository imports 'cephflow' and runs`, async () => {
    const file = join(folder, `disk.blink.${extension}`);
    await writeFile(file, source);
    const library = await loadTasks([folder]);
    const loaded = library.get('disk.blink');
    expect(loaded?.hash).toBe(createHash('sha256').update(source).digest('hex'));
    expect(loaded?.file).toBe(file);
    expect(await loaded?.task.run?.({ slot: 'a1' }, {} as ActContext)).toBeNull();
    const thrown = await loaded?.task.run?.({ slot: 'bad' }, {} as ActContext).catch((error) => error);
    // the task's CephflowError may be of another copy of the class: its code must survive
    expect(understandThrown(thrown)).toMatchObject({ code: 'NODE_UNSUITABLE', disposition: 'pause' });
  });
}

test('load-tasks: a .ts task loads where a package.json says "type": "module"', async () => {
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'disk.blink.ts'), source.replace('{ slot })', '{ slot }: { slot: string })'));
  expect([...(await loadTasks([folder])).keys()]).toEqual(['disk.blink']);
});

test('load-tasks: every bad file is named with its mend', async () => {
  await writeFile(join(folder, 'disk.name.mts'), source);
  await writeFile(join(folder, 'disk.none.mjs'), 'export default 42;');
  await writeFile(join(folder, 'disk.bad.mjs'), source.replace("risk: 'changes'", "risk: 'reads'"));
  const error = await loadTasks([folder]).catch((thrown) => thrown);
  expect(error.code).toBe('TASK_INVALID');
  expect(error.message).toBe(
    [
      `${folder}/disk.bad.mjs: it cannot be loaded: task disk.blink: a task that runs changes something: its risk cannot be reads`,
      `${folder}/disk.name.mts: it holds task disk.blink: call the file disk.blink.mts`,
      `${folder}/disk.none.mjs: its default export is no task: write \`export default task({ … })\``,
    ].join('\n'),
  );
});

test('load-tasks: the shipped library loads, and a name is in one folder only', async () => {
  const shipped = resolve(import.meta.dirname, '../../tasks');
  const library = await loadTasks([shipped]);
  const files = (await readdir(shipped)).map((name) => name.replace(/\.ts$/, '')).sort();
  expect([...library.keys()].sort()).toEqual(files);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'osd.stop.ts'), await readFile(join(shipped, 'osd.stop.ts')));
  await expect(loadTasks([shipped, folder])).rejects.toThrow(
    `${folder}/osd.stop.ts: task osd.stop is already in ${shipped}/osd.stop.ts: rename one`,
  );
});

test('load-tasks: a folder that does not exist is named', async () => {
  await expect(loadTasks([`${folder}/absent`])).rejects.toThrow(
    `the folder of tasks ${folder}/absent cannot be read`,
  );
});
