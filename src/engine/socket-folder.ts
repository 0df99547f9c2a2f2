import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CephflowError } from '../base/errors.ts';

/** sun_path of Linux holds 108 bytes with its final zero; the longest name we put into the folder takes 16. */
const longestFolderBytes = 107 - 16;

/**
 * Give the folder for the unix sockets of a state folder: itself, or where its path is too long for a socket, a short
 * one in /run or /tmp with a name that follows from the path.
 * @throws CONFIG_INVALID when somebody else owns the short folder
 */
export async function socketFolder(stateDir: string): Promise<string> {
  if (Buffer.byteLength(stateDir) <= longestFolderBytes) return stateDir;
  const name = `cephflow-${createHash('sha256').update(stateDir).digest('hex').slice(0, 16)}`;
  const user = process.getuid?.() ?? 0;
  const homes = user === 0 ? ['/run', '/tmp'] : [`/run/user/${user}`, '/tmp'];
  for (const home of homes) {
    const folder = join(home, name);
    await mkdir(folder, { mode: 0o700 }).catch(() => undefined);
    const found = await lstat(folder).catch(() => undefined);
    if (found === undefined) continue;
    // /tmp is everybody's: a folder that another user has put there would let them listen in
    if (found.isDirectory() && found.uid === user && (found.mode & 0o077) === 0) return folder;
    throw new CephflowError('CONFIG_INVALID', `${folder} belongs to somebody else or is open to others`, {
      hint: 'remove it, or choose a shorter state folder',
    });
  }
  throw new CephflowError('CONFIG_INVALID', `the path of the state folder is too long: ${stateDir}`, {
    hint: `choose one of at most ${longestFolderBytes} bytes`,
  });
}
