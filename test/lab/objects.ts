import { join } from 'node:path';
import { poolName } from './cluster.ts';
import { demand, run, toolsDir } from './keeper.ts';

/** Objects to be written: content follows from the seed and the object's number. */
export interface ObjectLoad {
  readonly count: number;
  readonly sizeBytes: number;
  readonly seed: string;
}

/** What reading everything back found. `bad` names the objects whose checksum differs or that cannot be read. */
export interface ObjectCheck {
  readonly checked: number;
  readonly bad: readonly string[];
}

/** Write seeded objects through one client; their checksums are kept in the lab's directory. */
export async function loadObjects(dir: string, load: ObjectLoad): Promise<void> {
  await tool('load', dir, [String(load.count), String(load.sizeBytes), load.seed]);
}

/** Read every object that was ever loaded and compare its checksum. */
export async function verifyObjects(dir: string): Promise<ObjectCheck> {
  return JSON.parse(await tool('verify', dir, [])) as ObjectCheck;
}

async function tool(act: 'load' | 'verify', dir: string, rest: readonly string[]): Promise<string> {
  const script = join(toolsDir, 'objects.py');
  const files = [join(dir, 'ceph.conf'), join(dir, 'admin.keyring'), poolName, join(dir, 'objects.json')];
  const words = [script, act, ...files, ...rest];
  return demand(words, await run('/usr/bin/python3', words));
}
