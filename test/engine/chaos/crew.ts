import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createControl } from '../../../src/engine/control.ts';
import { waitUntil } from '../../../src/engine/processes.ts';
import type { connectRedis } from '../../../src/engine/redis.ts';
import type { RunSnapshot, StepView, Store } from '../../../src/engine/store.ts';
import { isEndedRun } from '../../../src/run/states.ts';
import { firedKills, type Kill } from './crash-points.ts';
import type { ShapeName } from './shapes.ts';
import type { World } from './world.ts';
import { untilUndone, worldTasks } from './world-tasks.ts';

/** Tell a process of a test what it is to do. */
export interface Errand {
  readonly role: 'worker' | 'client';
  /** Path of a socket, or a URL. */
  readonly redis: Parameters<typeof connectRedis>[0];
  readonly prefix: string;
  /** Of the world. */
  readonly folder: string;
  readonly kills: readonly Kill[];
  /** Where Redis keeps its records, to note how much of them was confirmed. */
  readonly aof?: string;
  /** What a client starts. */
  readonly runs: readonly { readonly run: string; readonly shape: ShapeName }[];
  readonly name: string;
  readonly leaseMs: number;
  readonly leadMs: number;
  readonly resendMs: number;
  readonly dispatchWindow: number;
  readonly concurrency: number;
}

/** Short times, so that what a crash leaves behind is found within seconds. */
const quick = { leaseMs: 1500, leadMs: 1000, resendMs: 1000, dispatchWindow: 1000, concurrency: 8 };

/** Say what a test wants of a process; the rest is as quick as can be. */
export type Wish = Pick<Errand, 'redis' | 'prefix' | 'folder'> & Partial<Errand>;

const main = resolve(import.meta.dirname, 'chaos-process.ts');

/** Be a process of a test. */
export interface Member {
  readonly child: ChildProcess;
  /** Ends with the process: how, and what it said. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** What it wrote to its stderr so far. */
  said(): string;
  /** Tell it to stop, and wait until it has. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** Start a process that does an errand. */
export function startMember(wish: Wish): Member {
  const errand: Errand = { role: 'worker', kills: [], runs: [], name: 'w', ...quick, ...wish };
  const words = ['--import', import.meta.resolve('tsx'), main, JSON.stringify(errand)];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const pieces: string[] = [];
  child.stderr?.on('data', (piece: Buffer) => pieces.push(piece.toString()));
  const ended = new Promise<{ code: number | null; signal: string | null }>((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code, signal) => done({ code, signal }));
  });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  return {
    child,
    ended,
    said: () => pieces.join(''),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

/** Start a worker again whenever it is killed at one of its points, until it is told to stop. */
export interface Crew {
  /** How often it was killed. */
  deaths(): number;
  /** What has gone wrong: a worker that ended by itself. */
  faults(): readonly string[];
  said(): string;
  stop(): Promise<void>;
}

/** Lives of one worker: many more than it has kills. */
const longestCrew = 40;

/** Keep a worker with crash points alive. */
export function keepAlive(wish: Wish & { readonly kills: readonly Kill[] }): Crew {
  const state = { deaths: 0, isStopping: false, member: undefined as Member | undefined };
  const faults: string[] = [];
  const said: string[] = [];
  const live = async () => {
    for (let life = 0; life < longestCrew && !state.isStopping; life += 1) {
      const left = wish.kills.filter((kill) => !firedKills(wish.folder, wish.kills).includes(kill));
      const member = startMember({ ...wish, kills: left });
      state.member = member;
      const { code, signal } = await member.ended;
      said.push(member.said());
      if (code === 0 && wish.role === 'client') return;
      if (signal === 'SIGKILL') state.deaths += 1;
      else if (!state.isStopping) faults.push(`a process ended with ${code ?? signal}: ${member.said()}`);
    }
  };
  const living = live();
  return {
    deaths: () => state.deaths,
    faults: () => faults,
    said: () => [...said, state.member?.said() ?? ''].join(''),
    stop: async () => {
      state.isStopping = true;
      await state.member?.stop();
      await living;
    },
  };
}

/** Do what an operator does until runs are over: answer what asks, try again what failed, take back what waits for that. */
export async function operateUntilEnded(
  store: Store,
  runs: readonly string[],
  world: World,
  limitMs: number,
): Promise<readonly RunSnapshot[]> {
  const open = new Set(runs);
  const isOver = async () => {
    for (const run of open) {
      const seen = await store.snapshot(run).catch(() => undefined);
      if (seen && isEndedRun(seen.state)) open.delete(run);
      else if (seen) await operate(store, seen, world);
    }
    return open.size === 0;
  };
  await waitUntil(isOver, limitMs);
  return Promise.all(runs.map((run) => store.snapshot(run)));
}

async function operate(store: Store, seen: RunSnapshot, world: World): Promise<void> {
  await answerAll(store, seen, world);
  const actor = { by: 'operator', reason: 'seen it' };
  if (seen.state === 'running' && seen.views.some(({ waiting }) => waiting?.reason === untilUndone)) {
    const known = async () => new Map([...worldTasks(world)].map(([name, { task }]) => [name, task]));
    await createControl(store, { tasks: known }).undo(seen.run, actor);
  }
  if (seen.state === 'failed') await store.retry(seen.run, undefined, actor).catch(() => undefined);
}

/**
 * Answer whatever asks in a run, after a look at the world: an act that has had its effect is marked as done, all else is
 * approved. @returns how many questions that were
 */
export async function answerAll(store: Store, { run, views }: RunSnapshot, world: World): Promise<number> {
  const control = createControl(store);
  const actor = { by: 'operator', reason: 'seen it' };
  const questions = views.filter(asks);
  for (const { step } of questions) {
    const { id = '' } = (await store.plan(run)).steps[step] ?? {};
    const name = { run, step: id };
    const hasActed = world
      .lines()
      .some((line) => line.run === run && line.step === id && line.phase === 'effect');
    const answer = hasActed ? control.mark(name, 'done', actor) : control.approve(name, actor);
    // between the look and the answer the step may have gone on: then there is nothing to answer
    await answer.catch(() => undefined);
  }
  return questions.length;
}

const asks = ({ waiting, decision }: StepView) => waiting?.question !== undefined && decision === undefined;
