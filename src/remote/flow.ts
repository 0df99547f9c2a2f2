import { outputLimitBytes } from './command.ts';

/** Collect what a stream says, up to the output limit. */
export function createSink() {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    /** Keep a chunk; false when there is too much. */
    take(chunk: Buffer): boolean {
      size += chunk.length;
      if (size <= outputLimitBytes) chunks.push(chunk);
      return size <= outputLimitBytes;
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
}

/** Let so many in at once; the others wait in order. */
export function createGate(places: number) {
  let free = places;
  const waiting: (() => void)[] = [];
  return {
    enter: async () => {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
    },
    leave: () => {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    },
  };
}
