import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from '../lab/until.ts';

const program = resolve(import.meta.dirname, '../../bin/cephflow.js');

/** What a command that ended has said. `code` is 128 + n where signal n ended it. */
interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that still runs, such as a follower. */
export interface Running {
  readonly pid: number;
  /** Everything said so far, stdout and stderr as they came. */
  said(): string;
  /** Wait until the output holds a text; throws with the whole output after the limit. */
  says(text: string | RegExp, limitSeconds: number): Promise<string>;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Be an operator at a terminal: the built program, a state folder of one's own, a config. */
export interface Operator {
  readonly stateDir: string;
  /** Run a command to its end. */
  cephflow(...words: string[]): Promise<Ended>;
  /** Run a command with `-o json` and read what it says; throws when it fails. */
  json<T>(...words: string[]): Promise<T>;
  start(...words: string[]): Running;
  /** Start a command at a real terminal (a pty of script(1)), whose questions `type` answers. */
  startAtTerminal(...words: string[]): Running & { type(line: string): void };
  /** Pid of the background agent, or undefined. */
  agentPid(): Promise<number | undefined>;
  /** End the agent and its Redis, and throw the state away. */
  leave(): Promise<void>;
}

/** A command that only reads ends long before this. */
const commandSeconds = 120;

/** Sit down at a terminal with this config. `env` is added to the environment. */
export async function operator(
  configFile: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Operator> {
  const stateDir = await mkdtemp(join(tmpdir(), 'cf-'));
  const surroundings = {
    PATH: process.env['PATH'] ?? '',
    HOME: stateDir,
    USER: 'ada',
    CEPHFLOW_CONFIG: configFile,
    CEPHFLOW_STATE: stateDir,
    ...env,
  };
  const children = new Set<ChildProcess>();
  const start = (...words: string[]) => run([process.execPath, program, ...words], surroundings, children);
  const cephflow = (...words: string[]) => endOf(start(...words), words);
  return {
    stateDir,
    start,
    startAtTerminal(...words) {
      const line = [process.execPath, program, ...words].join(' ');
      // -e: with the command's exit code; -f: as it comes
      const running = run(['script', '-qefc', line, '/dev/null'], surroundings, children);
      return { ...running, type: (text) => running.input(`${text}\r`) };
    },
    cephflow,
    async json<T>(...words: string[]) {
      const { code, stdout, stderr } = await cephflow(...words, '-o', 'json');
      if (code !== 0) throw new Error(`cephflow ${words.join(' ')} ended with ${code}\n${stderr}${stdout}`);
      return JSON.parse(stdout) as T;
    },
    agentPid: () => pidIn(join(stateDir, 'agent.pid')),
    async leave() {
      for (const child of children) child.kill('SIGKILL');
      await cephflow('agent', 'stop');
      for (const name of ['agent.pid', 'redis.pid'])
        await endProcess(await pidIn(join(stateDir, name)), name);
      await rm(stateDir, { recursive: true });
    },
  };
}

interface Spawned extends Running {
  input(text: string): void;
}

function run(
  [file = '', ...words]: string[],
  env: Record<string, string>,
  children: Set<ChildProcess>,
): Spawned {
  const child = spawn(file, words, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  // a command without a terminal gets no input at all
  if (file !== 'script') child.stdin.end();
  children.add(child);
  let said = '';
  const parts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (piece: Buffer) => {
      parts[name] += piece.toString();
      said += piece.toString();
    });
  }
  const ended = new Promise<Ended>((done) => {
    child.once('close', (code, signal) => {
      children.delete(child);
      done({ code: code ?? 128 + signalNumber(signal), ...parts });
    });
  });
  return {
    pid: child.pid ?? 0,
    said: () => said,
    says: (text, limitSeconds) =>
      until(
        `"${words.join(' ')}" says ${text}`,
        limitSeconds,
        async () => (matches(said, text) ? said : false),
        () => said,
      ),
    ended,
    kill: (signal) => child.kill(signal),
    input: (text) => child.stdin.write(text),
  };
}

async function endOf(running: Running, words: readonly string[]): Promise<Ended> {
  const limit = setTimeout(() => running.kill('SIGKILL'), commandSeconds * 1000);
  const ended = await running.ended;
  clearTimeout(limit);
  if (ended.code === 137) throw new Error(`cephflow ${words.join(' ')} did not end:\n${running.said()}`);
  return ended;
}

const matches = (said: string, text: string | RegExp) =>
  typeof text === 'string' ? said.includes(text) : text.test(said);

const signalNumber = (signal: NodeJS.Signals | null) =>
  ({ SIGINT: 2, SIGHUP: 1, SIGTERM: 15 })[String(signal)] ?? 9;

async function pidIn(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const pid = text === undefined ? undefined : (JSON.parse(text) as { pid: number }).pid;
  return pid !== undefined && isAlive(pid) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A stopped agent takes its Redis along; what is left after this was stuck, and is said to be. */
async function endProcess(pid: number | undefined, name: string): Promise<void> {
  if (pid === undefined) return;
  await until(`${name} ${pid} ends`, 20, async () => !isAlive(pid)).catch((error: unknown) => {
    process.kill(pid, 'SIGKILL');
    throw error;
  });
}
