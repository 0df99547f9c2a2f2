import { expect, test } from 'vitest';
import { type Duty, type Leader, startLeader } from '../../src/engine/leader.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import { rigForEachTest } from './store-rig.ts';

const limitMs = 20_000;
const rig = rigForEachTest();

function lead(
  id: string,
  duties: readonly Duty[],
): { leader: Leader; rounds: () => number; errors: unknown[] } {
  const seen = { rounds: 0 };
  const errors: unknown[] = [];
  const { store } = rig;
  const leader = startLeader({
    id,
    store: {
      lead: (...words) => store.lead(...words),
      resign: (...words) => store.resign(...words),
      tick: (...words) => {
        seen.rounds += 1;
        return store.tick(...words);
      },
    },
    dispatcher: { poke: () => undefined, send: async () => undefined, isQueued: async () => false },
    duties,
    onError: (error) => errors.push(error),
  });
  return { leader, rounds: () => seen.rounds, errors };
}

test('leader: a duty that takes long keeps it neither from leading nor from stopping, and is done by the leader alone', async () => {
  const acts: string[] = [];
  const untilStopped =
    (name: string): Duty =>
    async (signal) => {
      acts.push(`${name} begins`);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      acts.push(`${name} ends`);
    };
  const first = lead('one', [untilStopped('one')]);
  expect(await waitUntil(async () => acts.length === 1, limitMs)).toBe(true);
  const second = lead('two', [untilStopped('two')]);
  expect(await waitUntil(async () => first.rounds() >= 4, limitMs)).toBe(true);
  expect(acts).toEqual(['one begins']);
  await first.leader.stop();
  expect(acts).toEqual(['one begins', 'one ends']);
  expect(await waitUntil(async () => acts.length === 3, limitMs)).toBe(true);
  expect(acts.at(-1)).toBe('two begins');
  await second.leader.stop();
  expect([...first.errors, ...second.errors]).toEqual([]);
});

test('leader: a duty that fails is told, done again, and holds up no other', async () => {
  const acts = { good: 0 };
  const fails: Duty = async () => {
    throw new Error('no luck');
  };
  const { leader, errors } = lead('one', [
    fails,
    async () => {
      acts.good += 1;
    },
  ]);
  expect(await waitUntil(async () => errors.length >= 2 && acts.good >= 2, limitMs)).toBe(true);
  await leader.stop();
  expect(String(errors[0])).toBe('Error: no luck');
});
