import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const program = resolve(import.meta.dirname, '../../bin/cephflow.js');

/** What a command has said, with the desk's folder written as DESK. */
interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A place to type at: the built program, with home, config and state in a folder of its own. */
export interface Desk {
  readonly dir: string;
  write(name: string, text: string): string;
  type(words: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>;
  leave(): void;
}

/** Sit down at a new desk. Nothing of the machine's own config or records is seen from it. */
export function openDesk(): Desk {
  const dir = mkdtempSync(join(tmpdir(), 'cf-desk-'));
  const surroundings = {
    PATH: process.env['PATH'] ?? '',
    HOME: dir,
    USER: 'ada',
    XDG_CONFIG_HOME: join(dir, 'config'),
    CEPHFLOW_STATE: join(dir, 'state'),
  };
  const steady = (text: string) => text.replaceAll(dir, 'DESK').trimEnd();
  return {
    dir,
    write(name, text) {
      const file = join(dir, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    },
    async type(words, env = {}) {
      const { code, stdout, stderr } = await run(words, { ...surroundings, ...env });
      return { code, stdout: steady(stdout), stderr: steady(stderr) };
    },
    leave: () => rmSync(dir, { recursive: true }),
  };
}

function run(words: readonly string[], env: Record<string, string>): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (piece: Buffer) => {
      said[name] += piece.toString();
    });
  }
  return new Promise((done) => {
    child.once('close', (code) => done({ code: code ?? -1, ...said }));
  });
}
