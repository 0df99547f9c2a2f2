import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StoreFinding } from '../../src/engine/store.ts';
import { isEndedRun, type RunState } from '../../src/run/states.ts';
import { type PrivateRedis, startRedis } from './private-redis.ts';
import { anyPlan, anyWish, StorePlayer } from './store-player.ts';
import { openRig, type Rig } from './store-rig.ts';

let server: PrivateRedis;
let rig: Rig;

beforeAll(async () => {
  server = await startRedis(['--appendfsync', 'no']);
});
afterAll(async () => {
  await server?.stop();
});

/** What a run leaves on purpose when it is over: what it set and nobody gave back, and after a kill what its steps hold. */
function isMeant({ kind }: StoreFinding, state: string, isKilled: boolean): boolean {
  return isEndedRun(state as RunState) && (kind === 'hold' || (isKilled && kind === 'lock'));
}

async function faults(player: StorePlayer): Promise<readonly StoreFinding[]> {
  const found = await rig.store.examine(player.run);
  if (found.length === 0) return found;
  const state = await rig.runState(player.run);
  return found.filter((one) => !isMeant(one, state, player.isKilled));
}

test('the records of a run fit its states and its plan, whatever happens in whatever order', {
  timeout: 240_000,
}, async () => {
  const wishes = fc.array(fc.record({ wish: anyWish, other: fc.nat(3).map((n) => n === 0) }), {
    minLength: 10,
    maxLength: 70,
    size: 'max',
  });
  const property = fc.asyncProperty(anyPlan, wishes, async (plan, list) => {
    rig = await openRig(server);
    const players: StorePlayer[] = [];
    for (let count = 0; count < 2; count += 1) {
      const run = await rig.store.createRun(plan, { by: 'test', waits: true });
      players.push(new StorePlayer(rig, run, plan.steps.length));
    }
    for (const { wish, other } of list) {
      await players[other ? 1 : 0]?.play(wish);
      for (const player of players) expect(await faults(player), JSON.stringify(wish)).toEqual([]);
    }
    const rest = await rig.store.examine('');
    expect(rest.filter(({ kind }) => kind !== 'hold' && kind !== 'lock')).toEqual([]);
    await rig.store.close();
  });
  await fc.assert(property, { numRuns: 80 });
});
