import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runAgent } from '../../src/engine/run-agent.ts';

// An agent whose work is a number in a file: how many runs are unfinished.
const [stateDir = '', idleMs = '0'] = process.argv.slice(2);
const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort());

await runAgent({
  stateDir,
  searchPath: process.env['PATH'] ?? '',
  idleMs: Number(idleMs),
  signal: stopping.signal,
  start: async () => ({
    serves: { clusters: ['lab1'], files: ['/etc/cephflow/config.yaml'] },
    unfinished: async () => Number(await readFile(join(stateDir, 'unfinished'), 'utf8')),
    stop: async () => undefined,
  }),
  log: (line) => process.stderr.write(`${line}\n`),
});
