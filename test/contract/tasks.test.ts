import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { isTask, type Task } from '../../src/task/task.ts';

const folder = fileURLToPath(new URL('../../tasks/', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
const tasks = await Promise.all(
  files.map(async (file) => ({
    file,
    task: ((await import(`${folder}${file}`)) as { default: Task }).default,
  })),
);

describe.each(tasks)('every task, $file', ({ file, task }) => {
  it('is a task named as its file', () => {
    expect(isTask(task)).toBe(true);
    expect(`${task.name}.ts`).toBe(basename(file));
  });

  it('says what it does in one sentence without a full stop', () => {
    expect(task.summary).toMatch(/^[A-Z][^.]*$/);
  });

  it('describes each of its parameters', () => {
    for (const param of Object.values(task.params)) expect(param.about.length).toBeGreaterThan(3);
  });

  it('never switches off a safety check of Ceph', () => {
    expect(readFileSync(`${folder}${file}`, 'utf8')).not.toMatch(/['"`]--(yes-i-really|force)/);
  });

  it('can be taken back wherever it remembers', () => {
    expect(task.remember === undefined || task.undo !== undefined).toBe(true);
  });
});
