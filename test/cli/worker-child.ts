import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Desk } from './built.ts';

const program = resolve(import.meta.dirname, '../../bin/cephflow.js');

/** Start the built `cephflow worker` with a config and more words; the function that comes back ends it and waits for that. */
export function startWorkerProcess(
  desk: Desk,
  config: string,
  words: readonly string[] = [],
): (signal?: 'SIGKILL') => Promise<void> {
  const worker = spawn(process.execPath, [program, '--config', config, 'worker', ...words], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] ?? '', HOME: desk.dir, USER: 'ada' },
  });
  const ended = new Promise((done) => worker.once('close', done));
  return async (signal) => {
    worker.kill(signal ?? 'SIGTERM');
    await ended;
  };
}
