import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { waitUntil } from '../../../src/engine/processes.ts';
import { connectRedis } from '../../../src/engine/redis.ts';
import type { Store } from '../../../src/engine/store.ts';
import { openStore } from '../../../src/engine/store-open.ts';
import type { Canvas } from '../../../src/plan/canvas.ts';
import { type CheckOptions, checkRuns, type Report, readRecord, tell } from './checker.ts';
import { answerAll, type Errand, type Member, operateUntilEnded, startMember, type Wish } from './crew.ts';
import { planOfCanvas } from './shapes.ts';
import { openWorld, type World } from './world.ts';

/** Workers at work on one run, in processes of their own, while a test does something to them or to Redis. */
export interface Scene {
  readonly run: string;
  readonly store: Store;
  readonly world: World;
  readonly members: readonly Member[];
  /** Start another worker. */
  join(wish?: Partial<Errand>): Member;
  /** Wait until so many more acts have had their effect. */
  progress(acts: number): Promise<void>;
  /** Wait until the run asks a person something, and approve it. */
  approve(): Promise<void>;
  /** Wait until it is so; fails the test when it is not. */
  until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void>;
  /** Do what an operator does until the run is over, and check that all went right. */
  finish(title: string, options?: CheckOptions): Promise<Report>;
}

/** Say how a scene begins. */
export interface SceneOptions {
  readonly redis: Errand['redis'];
  readonly canvas: Canvas;
  /** Workers at the start. */
  readonly workers: number;
  readonly wish?: Partial<Errand>;
}

/** What takes longer than this has stopped: a run takes seconds, on a loaded machine many times that. */
const limitMs = 120_000;
const prefix = 'chaos';
const run = 'storm-1';

/** Play a scene; whatever it started is ended with it. */
export async function withScene<T>(options: SceneOptions, play: (scene: Scene) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cephflow-chaos-'));
  const world = openWorld(folder);
  const store = await openStore(await connectRedis(options.redis, 'worker'), { prefix });
  const members: Member[] = [];
  const start = (wish: Partial<Errand> = {}) => {
    const base: Wish = { redis: options.redis, prefix, folder, concurrency: 4, ...options.wish };
    const member = startMember({ ...base, name: `w${members.length}`, ...wish });
    members.push(member);
    return member;
  };
  const until: Scene['until'] = async (what, isSo) => {
    const said = () => members.map((member) => member.said()).join('');
    if (!(await waitUntil(async () => isSo(), limitMs))) throw new Error(`never: ${what}\n${said()}`);
  };
  const effects = () => world.lines().filter(({ phase }) => phase === 'effect').length;
  const finish: Scene['finish'] = async (title, about) => {
    const [end] = await operateUntilEnded(store, [run], world, limitMs);
    const report = checkRuns([await readRecord(store, run)], world.lines(), about);
    tell(title, report);
    expect(report.faults).toEqual([]);
    expect(end?.state).toBe('succeeded');
    return report;
  };
  const progress: Scene['progress'] = (acts) => {
    const target = effects() + acts;
    return until(`${acts} more acts`, () => effects() >= target);
  };
  const approve = () =>
    until('a question', async () => (await answerAll(store, await store.snapshot(run), world)) > 0);
  try {
    await store.createRun(planOfCanvas('storm', options.canvas, world), { by: 'ann', run });
    for (let count = 0; count < options.workers; count += 1) start();
    return await play({ run, store, world, members, join: start, progress, approve, until, finish });
  } finally {
    for (const member of members) await member.kill();
    await store.close();
    await rm(folder, { recursive: true });
  }
}
