import { appendFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '../../../src/engine/store.ts';

/** Find the file that a server appends its records to. `folder`: its appendonlydir. */
export function recordsFile(folder: string): string {
  const names = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'));
  return join(folder, names.at(-1) ?? '');
}

/** Write down how long the records were whenever Redis has confirmed that they last: none of that may be cut off. */
export function noteConfirmed(store: Store, world: string, aof: string): Store {
  return {
    ...store,
    confirmDurable: async () => {
      const answer = await store.confirmDurable();
      appendFileSync(join(world, 'confirmed'), `${statSync(recordsFile(aof)).size}\n`);
      return answer;
    },
  };
}

/** Tell how many bytes were confirmed so far, by any process. */
export function confirmedBytes(world: string): number {
  const file = join(world, 'confirmed');
  const sizes = existsSync(file) ? readFileSync(file, 'utf8').split('\n').map(Number) : [];
  return Math.max(0, ...sizes);
}
