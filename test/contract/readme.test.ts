import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Operator, operator } from '../stories/operator.ts';

let folder: string;
let readme: string;
let ada: Operator;

const block = (language: string) =>
  new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1] ?? '';

beforeAll(async () => {
  readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  folder = await mkdtemp(join(tmpdir(), 'cf-readme-'));
  for (const name of ['tasks', 'playbooks']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'tasks', 'osd.wait-up.mts'), block('ts'));
  await writeFile(join(folder, 'playbooks', 'wait-for-node.yaml'), block('yaml'));
  const config = join(folder, 'config.yaml');
  await writeFile(config, `tasks: ["${folder}/tasks"]\nplaybooks: ["${folder}/playbooks"]\n`);
  ada = await operator(config);
});
afterAll(async () => {
  await ada?.leave();
  await rm(folder, { recursive: true });
});

it('README: its task is loaded as it stands there', async () => {
  const { code, stdout } = await ada.cephflow('tasks', 'osd.wait-up');
  expect(code).toBe(0);
  expect(stdout).toContain('Wait until an OSD is up');
});

it('README: its playbook has no mistakes', async () => {
  expect(await ada.cephflow('lint')).toMatchObject({ code: 0 });
  expect((await ada.cephflow('playbooks')).stdout).toContain('wait-for-node');
});

it('README: every command that it names exists, and every command is named', async () => {
  const { stdout } = await ada.cephflow('--help');
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)]
    .map((row) => row[1])
    .filter((name) => name !== 'help');
  const table = readme.split('\n').filter((line) => line.startsWith('| `'));
  const named = table.flatMap((line) =>
    [...(line.split('|')[1] ?? '').matchAll(/`([a-z]+)/g)].map((word) => word[1]),
  );
  expect(named.sort()).toEqual(commands.sort());
});
