import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CephflowError, lastLines } from '../base/errors.ts';
import { type AgentStatus, askAgent } from './agent-socket.ts';
import { isAlive, processStart, waitUntil } from './processes.ts';

export type { AgentServes } from './agent-socket.ts';

/** Say which agent is meant and how it is started. */
export interface AgentOptions {
  readonly stateDir: string;
  /** Program and words that run the agent in the foreground: `cephflow agent run …`. */
  readonly command: readonly string[];
  /** Environment of the agent; it outlives the terminal, so only what it needs. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Loading tasks and the records of Redis takes seconds on a slow disk. */
const startLimitMs = 90_000;

/**
 * Make sure that an agent works in the background, in a session of its own, so that it outlives the terminal.
 * Any number of commands may do so at once: an agent holds a kernel lock, and a second one ends by itself.
 * @throws PROGRAM_MISSING, REDIS_UNREACHABLE and whatever kept it from starting, with the end of its log
 */
export async function ensureAgent(
  options: AgentOptions,
): Promise<{ readonly pid: number; readonly isNew: boolean }> {
  const running = await agentStatus(options.stateDir);
  if (running?.state === 'working') return { pid: running.pid, isNew: false };
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  await chmod(options.stateDir, 0o700);
  let found: AgentStatus | undefined;
  let child = await launch(options);
  await waitUntil(async () => {
    found = await agentStatus(options.stateDir);
    if (found?.state === 'working') return true;
    // a second agent ends well at once; when the first one was about to end, one of us starts the next
    if (child.exitCode === 0 && !found) child = await launch(options);
    return hasFailed(child);
  }, startLimitMs);
  if (found?.state === 'working') return { pid: found.pid, isNew: found.pid === child.pid };
  throw await describeFailure(options, child);
}

/** Start a dead agent when runs are unfinished. @returns whether one was started */
export async function reviveAgent(
  options: AgentOptions & { unfinished(): Promise<number> },
): Promise<boolean> {
  if ((await agentStatus(options.stateDir))?.state === 'working') return false;
  if ((await options.unfinished()) === 0) return false;
  return (await ensureAgent(options)).isNew;
}

/** Ask the agent how it is; undefined where none lives. */
export function agentStatus(stateDir: string): Promise<AgentStatus | undefined> {
  return askAgent(stateDir, 'status');
}

/** Longest an agent may take by itself: grace for what it does, then closing. */
const stopLimitMs = 60_000;
/** ... and after SIGTERM. */
const terminateLimitMs = 15_000;

/**
 * Stop the agent: by word, then SIGTERM, then SIGKILL, each with its limit. The embedded Redis stops with it unless
 * runs are unfinished.
 * @returns how many runs are unfinished; undefined where no agent lived
 */
export async function stopAgent(stateDir: string): Promise<{ readonly unfinished: number } | undefined> {
  const asked = (await askAgent(stateDir, 'stop')) ?? (await readPidFile(stateDir));
  if (!asked) return undefined;
  const isSame = () => isAlive(asked.pid) && processStart(asked.pid) === asked.startedAs;
  const isGone = async () => !isSame();
  const result = { unfinished: asked.unfinished };
  if (await waitUntil(isGone, stopLimitMs)) return result;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (isSame()) process.kill(asked.pid, signal);
    if (await waitUntil(isGone, terminateLimitMs)) return result;
  }
  throw new CephflowError('INTERNAL', `the agent (pid ${asked.pid}) does not end, not even by SIGKILL`, {
    hint: 'it hangs in the kernel, mostly on a disk; look at: ps -o stat,wchan',
  });
}

/** One that is stuck does not answer: then its file tells the pid, and the start time whether it is still the same. */
async function readPidFile(stateDir: string): Promise<AgentStatus | undefined> {
  const text = await readFile(join(stateDir, 'agent.pid'), 'utf8').catch(() => undefined);
  const found = text === undefined ? undefined : (JSON.parse(text) as AgentStatus);
  return found && processStart(found.pid) === found.startedAs ? found : undefined;
}

const logFile = (stateDir: string) => join(stateDir, 'agent.log');

async function launch({ stateDir, command, environment }: AgentOptions): Promise<ChildProcess> {
  const log = await open(logFile(stateDir), 'a', 0o600);
  const [program = '', ...words] = command;
  const child = spawn(program, words, {
    cwd: stateDir,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: environment,
  });
  child.on('error', () => undefined);
  child.unref();
  await log.close();
  return child;
}

const hasFailed = ({ pid, exitCode, signalCode }: ChildProcess) =>
  pid === undefined || signalCode !== null || (exitCode !== null && exitCode !== 0);

async function describeFailure({ stateDir, command }: AgentOptions, child: ChildProcess) {
  const log = await readFile(logFile(stateDir), 'utf8').catch(() => '');
  const { exitCode } = child;
  return new CephflowError('INTERNAL', 'the agent does not start', {
    disposition: 'stop',
    command: {
      host: 'this machine',
      words: command,
      stderr: lastLines(log),
      ...(exitCode !== null && { exitCode }),
    },
    hint: `its log is ${logFile(stateDir)}`,
  });
}
