import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { CephflowError } from '../base/errors.ts';
import { findProgram } from './processes.ts';

/** Hold a lock on a file. The kernel gives it back when this process ends, however it ends. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Lock a file, without waiting. Node has no flock(2): the program of that name locks the very file that we
 * have opened, and the lock stays with us when it ends.
 * @returns undefined when another process holds it
 * @param searchPath value of PATH
 * @throws PROGRAM_MISSING
 */
export async function lockFile(file: string, searchPath: string): Promise<FileLock | undefined> {
  const flock = await findProgram('flock', searchPath);
  if (!flock) {
    throw new CephflowError('PROGRAM_MISSING', 'there is no flock on PATH', {
      hint: 'type: apt install util-linux',
    });
  }
  const handle = await open(file, 'a', 0o600);
  const isOurs = await flockHandle(flock, handle);
  if (isOurs) return { release: () => handle.close() };
  await handle.close();
  return undefined;
}

async function flockHandle(flock: string, handle: FileHandle): Promise<boolean> {
  const words = ['--exclusive', '--nonblock', '3'];
  const child = spawn(flock, words, { stdio: ['ignore', 'ignore', 'ignore', handle.fd], env: {} });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}
