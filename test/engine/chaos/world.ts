import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Tell what an act did to the world. `effect`: from here on it has happened; `aborted`: it was told to end before that. */
type Phase = 'begin' | 'effect' | 'end' | 'aborted';

/** Be a line of the world's log. `act` names one carrying-out; `step` ends in `!release` where a hold was given back. */
export interface WorldLine {
  readonly run: string;
  readonly step: string;
  readonly act: string;
  readonly pid: number;
  readonly phase: Phase;
  /** Milliseconds since the epoch: the same clock as that of a redis-server on this machine. */
  readonly atMs: number;
}

/**
 * Be what the steps of these tests act on: files, which outlive every process. What a killed process has written stays,
 * since the kernel has it; lines of several processes stand in the order in which they were written.
 */
export interface World {
  readonly folder: string;
  begin(run: string, step: string): Act;
  /** Whether the act of a step has happened: what `done` asks. */
  has(run: string, step: string): boolean;
  /** Make it not have happened, as an undo or a release would. */
  take(run: string, step: string): void;
  /** Count a poll of a wait, and give their number. */
  poll(run: string, step: string): number;
  lines(): readonly WorldLine[];
}

/** Be one carrying-out of a step. */
interface Act {
  effect(): void;
  end(): void;
  aborted(): void;
}

/** Open a world; several processes may. */
export function openWorld(folder: string): World {
  const log = join(folder, 'log');
  const marks = join(folder, 'marks');
  mkdirSync(marks, { recursive: true });
  const file = (run: string, step: string, kind: string) => join(marks, `${run}.${step}.${kind}`);
  let acts = 0;
  return {
    folder,
    begin: (run, step) => {
      acts += 1;
      const act = `${process.pid}.${acts}`;
      const write = (phase: Phase) => {
        const line: WorldLine = { run, step, act, pid: process.pid, phase, atMs: Date.now() };
        appendFileSync(log, `${JSON.stringify(line)}\n`);
      };
      write('begin');
      return {
        effect: () => {
          writeFileSync(file(run, step, 'done'), '');
          write('effect');
        },
        end: () => write('end'),
        aborted: () => write('aborted'),
      };
    },
    has: (run, step) => existsSync(file(run, step, 'done')),
    take: (run, step) => rmSync(file(run, step, 'done'), { force: true }),
    poll: (run, step) => {
      appendFileSync(file(run, step, 'polls'), '.');
      return statSync(file(run, step, 'polls')).size;
    },
    lines: () => (existsSync(log) ? readFileSync(log, 'utf8') : '').split('\n').flatMap(readLine),
  };
}

/** The last line may not be whole yet. */
const readLine = (text: string) => (text.endsWith('}') ? [JSON.parse(text) as WorldLine] : []);
