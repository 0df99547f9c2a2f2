import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentServes, type AgentStatus, askAgent, listenForQuestions } from './agent-socket.ts';
import { type EmbeddedRedis, startEmbeddedRedis, stopEmbeddedRedis } from './embedded.ts';
import { type FileLock, lockFile } from './file-lock.ts';
import { processStart, waitUntil } from './processes.ts';
import { understandThrown } from './thrown.ts';

/** What an agent does all day: a worker on the embedded Redis. */
interface AgentWork {
  readonly serves: AgentServes;
  unfinished(): Promise<number>;
  /** Stop the worker and close every connection. */
  stop(graceMs: number): Promise<void>;
}

/** Say how an agent lives. */
export interface RunAgentOptions {
  readonly stateDir: string;
  /** Value of PATH. */
  readonly searchPath: string;
  /** It ends itself, and Redis, after so long without an unfinished run. */
  readonly idleMs: number;
  /** Fires on SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  start(redis: EmbeddedRedis): Promise<AgentWork>;
  log(line: string): void;
}

/** Tell why an agent ended. */
export type AgentEnd = 'another-runs' | 'idle' | 'stopped';

/** An agent that ends gives its lock back within this; a second one that came too early waits for it. */
const lockWaitMs = 45_000;
/** How often it looks after Redis and counts unfinished runs. */
const lookEveryMs = 1000;
/** What is under way when it is told to stop gets so long to end by itself. */
const graceMs = 30_000;
/** Who stops an agent waits this long for a fresh count of its runs: less than a question may take. */
const recountLimitMs = 1500;

/** Be the agent, in the foreground, until idle or stopped. One per state folder: another one ends at once. */
export async function runAgent(options: RunAgentOptions): Promise<AgentEnd> {
  const { stateDir, searchPath, log } = options;
  const lock = await becomeTheOne(stateDir, searchPath);
  if (!lock) {
    log('another agent runs: nothing to do');
    return 'another-runs';
  }
  const stopping = new AbortController();
  const status: LiveStatus = {
    pid: process.pid,
    startedAs: processStart(process.pid),
    state: 'starting',
    unfinished: 0,
  };
  const counting: Counting = { recount: async () => undefined };
  await writeFile(join(stateDir, 'agent.pid'), JSON.stringify(status), { mode: 0o600 });
  const listen = () =>
    listenForQuestions(stateDir, async (question) => {
      if (question === 'stop') {
        status.state = 'stopping';
        await counting.recount();
        // the answer goes out first
        setImmediate(() => stopping.abort());
      }
      return status;
    });
  try {
    const questions = await listen();
    const signal = AbortSignal.any([options.signal, stopping.signal]);
    return await live({ ...options, signal, status, counting, questions, listen });
  } finally {
    await lock.release();
  }
}

/** Take the agent's lock. Where another one is at work, give up at once: waiting would make a second one of it later. */
async function becomeTheOne(stateDir: string, searchPath: string): Promise<FileLock | undefined> {
  let lock: FileLock | undefined;
  await waitUntil(async () => {
    lock = await lockFile(join(stateDir, 'agent.lock'), searchPath);
    if (lock) return true;
    const other = await askAgent(stateDir, 'status');
    return other !== undefined && other.state !== 'stopping';
  }, lockWaitMs);
  return lock;
}

type LiveStatus = { -readonly [Key in keyof AgentStatus]: AgentStatus[Key] };

/** Filled when there is something to count. */
interface Counting {
  recount(): Promise<void>;
}

interface Life extends RunAgentOptions {
  readonly status: LiveStatus;
  readonly counting: Counting;
  questions: { close(): Promise<void> };
  listen(): Promise<{ close(): Promise<void> }>;
}

async function live(life: Life): Promise<AgentEnd> {
  const { stateDir, searchPath, status, log, signal } = life;
  let { questions } = life;
  try {
    const redis = await startEmbeddedRedis({ stateDir, searchPath });
    const work = await life.start(redis).catch(async (thrown: unknown) => {
      // what cannot begin leaves nothing running
      await stopEmbeddedRedis(stateDir, { unlessUsed: true });
      throw thrown;
    });
    status.serves = work.serves;
    life.counting.recount = () => untilLate(count(work, life), recountLimitMs);
    // one that is asked at once must not say that there is nothing left to do
    await life.counting.recount();
    if (status.state === 'starting') status.state = 'working';
    log(`the agent works (pid ${process.pid}, Redis pid ${redis.pid})`);
    while (await staysBusy(life, work)) {
      // from now on a command that starts a run finds no agent and starts one, which waits for our lock
      await questions.close();
      if ((await count(work, life)) === 0) break;
      questions = await life.listen();
    }
    const end: AgentEnd = signal.aborted ? 'stopped' : 'idle';
    status.state = 'stopping';
    await work.stop(graceMs);
    if (status.unfinished === 0) await stopEmbeddedRedis(stateDir, { unlessUsed: true });
    log(`the agent ends: ${end}; unfinished runs: ${status.unfinished}`);
    return end;
  } finally {
    await questions.close();
  }
}

/** Look after Redis until there has been nothing to do for so long (true), or the agent is stopped (false). */
async function staysBusy(life: Life, work: AgentWork): Promise<boolean> {
  let busyAtMs = Date.now();
  while (!life.signal.aborted) {
    await sleep(Math.min(lookEveryMs, life.idleMs), undefined, { signal: life.signal }).catch(
      () => undefined,
    );
    if (life.signal.aborted) return false;
    // a Redis that is gone may leave the question hanging: a stop does not wait for it
    const unfinished = await unlessAborted(life.signal, count(work, life));
    if (life.signal.aborted) return false;
    if (unfinished !== 0) busyAtMs = Date.now();
    else if (Date.now() - busyAtMs >= life.idleMs) return true;
  }
  return false;
}

/** Count unfinished runs, bringing a dead Redis up again first. One that cannot be asked may have some. */
async function count(work: AgentWork, { stateDir, searchPath, status, log }: Life): Promise<number> {
  try {
    await startEmbeddedRedis({ stateDir, searchPath });
    status.unfinished = await work.unfinished();
  } catch (thrown) {
    const { code, message } = understandThrown(thrown);
    log(`${code}: ${message}`);
    return Math.max(1, status.unfinished);
  }
  return status.unfinished;
}

/** Wait for something, but no longer than the limit. */
async function untilLate(work: Promise<unknown>, limitMs: number): Promise<void> {
  await unlessAborted(AbortSignal.timeout(limitMs), work);
}

/** Wait for something that never fails, but not after the signal: then undefined. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const leave = () => resolve(undefined);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    void work.then((value) => {
      signal.removeEventListener('abort', leave);
      resolve(value);
    });
  });
}
