import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bringUp } from './bring-up.ts';
import { openKeeper } from './keeper.ts';
import type { Lab, LabOptions } from './lab-types.ts';

export type { Lab } from './lab-types.ts';

/**
 * Bring up a real Ceph cluster and wait until it is healthy and its pool clean.
 * @throws Error with what the failing command said; nothing is left running then.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const dir = await mkdtemp(join(tmpdir(), 'cephflow-lab-'));
  await chmod(dir, 0o711);
  const keeper = await openKeeper(dir, options.keepDirectory ?? false).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  try {
    return await bringUp(dir, keeper, options);
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}
