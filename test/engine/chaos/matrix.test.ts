import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectRedis } from '../../../src/engine/redis.ts';
import type { Store } from '../../../src/engine/store.ts';
import { openStore } from '../../../src/engine/store-open.ts';
import { type PrivateRedis, startRedis } from '../private-redis.ts';
import { checkRuns, readRecord, tell } from './checker.ts';
import { crashPoints, firedKills, killsOf, type PointName, runOf } from './crash-points.ts';
import { keepAlive, operateUntilEnded } from './crew.ts';
import { planOfShape, type ShapeName } from './shapes.ts';
import { openWorld } from './world.ts';

/** A point is met within some seconds; a loaded machine needs many times that. */
const limitMs = 100_000;
let server: PrivateRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** What processes are killed at some points while they carry out these runs, and what came of it. */
async function killAt(point: PointName) {
  const kills = killsOf(point);
  const isOfClient = 'isOfClient' in crashPoints[point];
  const runs = kills.map(({ shape }) => ({ shape, run: runOf(shape, point) }));
  const folder = await mkdtemp(join(tmpdir(), 'cephflow-chaos-'));
  const world = openWorld(folder);
  const at = { redis: server.socket, prefix: point, folder };
  const store = await openStore(await connectRedis(server.socket, 'worker'), { prefix: point });
  if (!isOfClient) for (const { run, shape } of runs) await create(run, shape);
  const crew = [keepAlive({ ...at, kills: isOfClient ? [] : kills })];
  if (isOfClient) crew.push(keepAlive({ ...at, role: 'client', runs, kills }));
  try {
    const ends = await operateUntilEnded(
      store,
      runs.map(({ run }) => run),
      world,
      limitMs,
    );
    const records = await Promise.all(runs.map(({ run }) => readRecord(store, run)));
    const report = checkRuns(records, world.lines());
    const deaths = crew.reduce((all, one) => all + one.deaths(), 0);
    const left = await whatIsLeft(store, runs);
    tell(point, report, `, ${deaths} processes killed`);
    return {
      states: ends.map(({ run, state }) => `${run}: ${state}`),
      faults: [...report.faults, ...left, ...crew.flatMap((one) => one.faults())],
      fired: firedKills(folder, kills),
    };
  } finally {
    for (const one of crew) await one.stop();
    await store.close();
    await rm(folder, { recursive: true });
  }

  async function create(run: string, shape: ShapeName): Promise<void> {
    await store.createRun(planOfShape(shape, world), { by: 'ann', run });
  }
}

const endOf = (shape: ShapeName) => (shape === 'undo' || shape === 'regrown' ? 'undone' : 'succeeded');

/** No lock is held when all runs are over, and the records agree with one another. */
async function whatIsLeft(
  store: Store,
  runs: readonly { readonly run: string }[],
): Promise<readonly string[]> {
  const locks = (await store.locks()).map((lock) => `left: ${JSON.stringify(lock)}`);
  const found = await Promise.all(runs.map(({ run }) => store.examine(run)));
  return [...locks, ...found.flat().map(({ run, text }) => `${run}: ${text}`)];
}

describe('a process killed at a crash point leaves nothing lost, done twice or out of order', () => {
  for (const point of Object.keys(crashPoints) as PointName[]) {
    test.concurrent(
      `${point}: over ${killsOf(point)
        .map(({ shape }) => shape)
        .join(', ')}`,
      async () => {
        const { states, faults, fired } = await killAt(point);
        expect(faults).toEqual([]);
        expect(states).toEqual(killsOf(point).map(({ shape }) => `${runOf(shape, point)}: ${endOf(shape)}`));
        // a point that was never passed has tested nothing
        expect(fired).toEqual(killsOf(point));
      },
      limitMs + 20_000,
    );
  }
});
