import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';

/** 5 s: an init may reap late. */
const polls = 50;
const pollMs = 100;

/** Demand that a process is over: gone, or a zombie that nobody has reaped yet. */
export async function expectOver(pid: string): Promise<void> {
  expect(pid).toMatch(/^\d+$/);
  for (let poll = 0; poll < polls && (await isAlive(pid)); poll++) await pause(pollMs);
  expect(await isAlive(pid)).toBe(false);
}

async function isAlive(pid: string): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && stat.slice(stat.lastIndexOf(')')).split(' ')[1] !== 'Z';
}
