import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import type { Answer } from '../../src/index.ts';
import { task } from '../../src/task/task.ts';
import { openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

const ann = { by: 'ann' };
const progress = { value: 2, target: 0, unit: 'PGs' };
const notYet: Answer = { waitingFor: '2 PGs are degraded', progress };
const step = { id: 'stop', task: 'osd.halt' };

/** Two runs that stop something in one cluster, and what each of them sees. */
interface World {
  answer: () => Answer;
  acts: number;
}

function twoRuns(more: object = {}) {
  const worlds: [World, World] = [
    { answer: () => notYet, acts: 0 },
    { answer: () => notYet, acts: 0 },
  ];
  const benches = worlds.map((world) =>
    openBench(rig, [
      task({
        name: 'osd.halt',
        summary: 'Stop',
        risk: 'stops-service',
        params: {},
        done: async () => world.answer(),
        blockers: async () => [],
        run: async () => {
          world.acts += 1;
        },
        ...more,
      }),
    ]),
  );
  return { worlds, benches: benches as [(typeof benches)[0], (typeof benches)[0]] };
}

const refuse = () => {
  throw new CephflowError('SSH_REFUSED', 'node-1 does not let us in');
};

/** The second run has looked: it found the lock taken, and waits. */
const isShutOut = async (run: string) => {
  const { views } = await rig.store.snapshot(run);
  return /^another step that stops or destroys/.test(views[0]?.waiting?.reason ?? '');
};

test('act lock: aborting a run lets a read-back end before the next one stops anything', async () => {
  const { worlds, benches } = twoRuns();
  const [first, second] = [await benches[0].start([step]), await benches[1].start([step])];
  await benches[0].deliver(first);
  await benches[1].deliver(second);
  expect(await isShutOut(second)).toBe(true);
  await rig.store.abort(first, ann);
  expect(await rig.states(first)).toBe('w');
  expect(await isShutOut(second)).toBe(true);
  // asked again in the aborting run, it still has not taken effect; nor is the word of a dead worker its end
  await benches[0].again(first);
  expect(await rig.states(first)).toBe('w');
  await rig.fire(first, 0);
  await rig.claim(first, 0);
  await rig.fire(first, 0);
  expect(await rig.states(first)).toBe('r');
  expect(await isShutOut(second)).toBe(true);
  worlds[0].answer = () => true;
  await benches[0].deliver(first);
  expect(await rig.states(first)).toBe('s');
  expect(await rig.runState(first)).toBe('aborted');
  await benches[1].deliver(second);
  expect(worlds.map(({ acts }) => acts)).toEqual([1, 1]);
});

test('act lock: a step that waits before its act is cancelled by an abort all the same', async () => {
  const { benches } = twoRuns();
  const run = await benches[0].start([step]);
  const other = await benches[1].start([step]);
  await rig.store.takeActLock(await rig.claim(run, 0), 'f51d');
  await benches[1].deliver(other);
  await rig.store.abort(other, ann);
  expect(await rig.states(other)).toBe('c');
});

test('act lock: a read-back that fails keeps it until a person has looked', async () => {
  const { worlds, benches } = twoRuns();
  const [first, second] = [await benches[0].start([step]), await benches[1].start([step])];
  worlds[0].answer = () => (worlds[0].acts === 0 ? notYet : refuse());
  await benches[0].deliver(first);
  expect((await benches[0].view(first)).error?.code).toBe('SSH_REFUSED');
  await benches[1].deliver(second);
  expect(await isShutOut(second)).toBe(true);
  await rig.store.skip(first, 0, ann);
  await benches[1].deliver(second);
  expect(worlds[1].acts).toBe(1);
});

test('act lock: a read-back that fails in a later delivery keeps it too', async () => {
  const { worlds, benches } = twoRuns();
  const [first, second] = [await benches[0].start([step]), await benches[1].start([step])];
  await benches[0].deliver(first);
  worlds[0].answer = refuse;
  await benches[0].again(first);
  expect(await rig.states(first)).toBe('f');
  await benches[1].deliver(second);
  expect(await isShutOut(second)).toBe(true);
});

test('act lock: a rejected stall question after the act keeps it', async () => {
  const { benches } = twoRuns({ stall: '1ms' });
  const [first, second] = [await benches[0].start([step]), await benches[1].start([step])];
  await benches[0].deliver(first);
  const isAsked = async () => {
    await benches[0].again(first);
    return (await benches[0].view(first)).waiting?.question?.includes('no progress for') ?? false;
  };
  expect(await waitUntil(isAsked, 5000)).toBe(true);
  await rig.store.decide(first, 0, { verdict: 'rejected', by: 'ann', comment: '' });
  await benches[0].deliver(first);
  expect((await benches[0].view(first)).error?.code).toBe('REJECTED');
  await benches[1].deliver(second);
  expect(await isShutOut(second)).toBe(true);
});

for (const afterMs of [0, 1]) {
  test(`act lock: a time limit of ${afterMs} ms that fails the step after the act keeps it`, async () => {
    const { benches } = twoRuns();
    const limited = { ...step, timeout: { afterMs, outcome: 'fail' as const } };
    const [first, second] = [await benches[0].start([limited]), await benches[1].start([step])];
    await benches[0].deliver(first);
    const hasFailed = async () => {
      if ((await rig.states(first)) === 'w') await benches[0].again(first);
      return (await rig.states(first)) === 'f';
    };
    expect(await waitUntil(hasFailed, 5000)).toBe(true);
    expect((await benches[0].view(first)).error?.code).toBe('STEP_TIMED_OUT');
    await benches[1].deliver(second);
    expect(await isShutOut(second)).toBe(true);
  });
}

test('act lock: a step that is taken back waits for it too, and says who holds it', async () => {
  const undone: string[] = [];
  const { worlds, benches } = twoRuns({
    undo: async () => {
      undone.push('started again');
    },
  });
  const back = { ...step, id: 'stop.undo', kind: 'undo', undoes: 0 } as const;
  const first = await benches[0].start([step]);
  await benches[0].deliver(first);
  const second = await benches[1].start([step, back]);
  worlds[1].answer = () => true;
  await benches[1].deliver(second, 1);
  expect((await benches[1].view(second, 1)).waiting?.reason).toBe(
    `another step that stops or destroys is under way in this cluster (step 0 of run ${first})`,
  );
  expect(undone).toEqual([]);
  worlds[0].answer = () => true;
  await benches[0].again(first);
  await benches[1].deliver(second, 1);
  expect(undone).toEqual(['started again']);
  expect(await rig.states(second)).toMatch(/s$/);
});
