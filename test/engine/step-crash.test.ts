import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { carryOut } from '../../src/engine/deliver.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import type { Workshop } from '../../src/engine/workshop.ts';
import type { Answer } from '../../src/index.ts';
import { type Risk, task } from '../../src/task/task.ts';
import { openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

interface World {
  isDone: Answer;
  acts: number;
  keys: string[];
}
const newWorld = (): World => ({ isDone: { waitingFor: 'it is there' }, acts: 0, keys: [] });

const deed = (world: World, risk: Risk, more: object = {}) =>
  task({
    name: 'thing.remove',
    summary: 'Remove',
    risk,
    params: {},
    done: async () => world.isDone,
    blockers: async () => [],
    run: async (_values, { step }) => {
      world.acts += 1;
      world.keys.push(step.key);
      world.isDone = true;
    },
    ...more,
  });
const step = { id: 'deed', task: 'thing.remove' };

/** Let a worker die after it wrote down that it acts: claim, acting, silence; then its lease runs out. */
async function dieWhileActing(run: string): Promise<void> {
  await rig.store.acting(await rig.claim(run, 0));
  await rig.fire(run, 0);
  expect(await rig.states(run)).toBe('?');
}

test('step: an unknown act that took effect is adopted, whatever its risk', async () => {
  for (const risk of ['changes', 'moves-data', 'stops-service', 'destroys-data'] as const) {
    const world = { ...newWorld(), isDone: true as const };
    const bench = openBench(rig, [deed(world, risk)]);
    const run = await bench.start([step]);
    await dieWhileActing(run);
    await bench.deliver(run);
    expect(await bench.view(run)).toMatchObject({ state: 'succeeded', acted: true });
    expect(world.acts).toBe(0);
  }
});

for (const risk of ['changes', 'moves-data'] as const) {
  test(`step: an unknown act that ${risk} and did not happen is tried again`, async () => {
    const world = newWorld();
    const bench = openBench(rig, [deed(world, risk)]);
    const run = await bench.start([step]);
    await dieWhileActing(run);
    await bench.deliver(run);
    expect(await bench.view(run)).toMatchObject({ state: 'succeeded', acted: true });
    expect(world.acts).toBe(1);
  });
}

for (const risk of ['stops-service', 'destroys-data'] as const) {
  test(`step: an unknown act that ${risk} waits for a person, who may let it be done again`, async () => {
    const world = newWorld();
    const bench = openBench(rig, [deed(world, risk)]);
    const run = await bench.start([step]);
    await dieWhileActing(run);
    await bench.deliver(run);
    await bench.again(run);
    expect((await bench.view(run)).waiting?.question).toBe(
      'the act of deed was begun and its end is not known; by now it has not: it is there. Look at the cluster; ' +
        'then approve to do it again, or mark the step as done if it is, or abort the run',
    );
    expect(world.acts).toBe(0);
    await rig.store.decide(run, 0, { verdict: 'approved', by: 'ann', comment: '' });
    await bench.deliver(run);
    expect(world.acts).toBe(1);
    expect((await bench.view(run)).state).toBe('succeeded');
  });

  test(`step: while a person is asked about an act that ${risk}, its effect is still seen`, async () => {
    const world = newWorld();
    const bench = openBench(rig, [deed(world, risk)]);
    const run = await bench.start([step]);
    await dieWhileActing(run);
    await bench.deliver(run);
    world.isDone = true;
    await bench.again(run);
    expect(await bench.view(run)).toMatchObject({ state: 'succeeded', acted: true });
    expect(world.acts).toBe(0);
  });
}

test('step: without done, what only changes is sent again under the same key', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'changes', { done: undefined })]);
  const run = await bench.start([step]);
  await dieWhileActing(run);
  await bench.deliver(run);
  expect(world.keys).toEqual([`${run}/deed`]);
  expect((await bench.view(run)).state).toBe('succeeded');
});

test('step: without done, what moves data waits for a person', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'moves-data', { done: undefined })]);
  const run = await bench.start([step]);
  await dieWhileActing(run);
  await bench.deliver(run);
  expect((await bench.view(run)).waiting?.reason).toBe(
    'the act of deed was begun and its end is not known; nobody can be asked whether it happened',
  );
  expect(world.acts).toBe(0);
});

test('step: what an act remembered first stays, also over a crash', async () => {
  const seen: unknown[] = [];
  let weight = 3;
  const world = newWorld();
  const bench = openBench(rig, [
    deed(world, 'moves-data', {
      remember: async () => weight,
      run: async (_values: object, { remembered }: { remembered: unknown }) => {
        seen.push(remembered);
        weight = 0;
        throw new CephflowError('CEPH_UNREACHABLE', 'gone');
      },
    }),
  ]);
  const run = await bench.start([step]);
  await bench.deliver(run);
  await bench.again(run);
  expect(seen).toEqual([3, 3]);
});

test('step: a refusal by Ceph did not happen, an act of unknown end may have', async () => {
  for (const [code, isActing] of [
    ['CEPH_REFUSED', undefined],
    ['COMMAND_FAILED', true],
  ] as const) {
    const fail = async () => {
      throw new CephflowError(code, 'no');
    };
    const bench = openBench(rig, [deed(newWorld(), 'destroys-data', { run: fail })]);
    const run = await bench.start([step]);
    await bench.deliver(run);
    const view = await bench.view(run);
    expect(view.state).toBe('failed');
    expect(view.isActing).toBe(isActing);
  }
});

test('step: losing the lease ends the act, and nothing more is written for it', async () => {
  const world = newWorld();
  let reason: unknown;
  const act = (_values: object, { signal }: { signal: AbortSignal }) => {
    world.acts += 1;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason;
        reject(new Error('killed'));
      });
    });
  };
  const bench = openBench(rig, [deed(world, 'destroys-data', { run: act })], { leaseMs: 60 });
  const run = await bench.start([step]);
  const work = bench.deliver(run);
  expect(await waitUntil(async () => world.acts === 1, 5000)).toBe(true);
  // a renewal may come in between and put the timer off: again until the lease is taken away
  const isTaken = async () => {
    await rig.fire(run, 0);
    return (await rig.states(run)) === '?';
  };
  expect(await waitUntil(isTaken, 5000)).toBe(true);
  await work;
  expect(reason).toMatchObject({
    code: 'COMMAND_ABORTED',
    message: `the lease of step 0 of run ${run} was lost: another worker may hold it`,
  });
  expect(await rig.states(run)).toBe('?');
});

test('step: a worker that stops leaves an act of unknown end to be looked at', async () => {
  const world = newWorld();
  const stopping = new AbortController();
  const act = (_values: object, { signal }: { signal: AbortSignal }) => {
    world.acts += 1;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('killed')));
    });
  };
  const bench = openBench(rig, [deed(world, 'destroys-data', { run: act })]);
  const run = await bench.start([step]);
  const work = bench.deliver(run, 0, stopping.signal);
  expect(await waitUntil(async () => world.acts === 1, 5000)).toBe(true);
  stopping.abort();
  await work;
  expect(await bench.view(run)).toMatchObject({ state: 'waiting', isActing: true });
  await bench.again(run);
  expect((await bench.view(run)).waiting?.question).toContain('its end is not known');
  expect(world.acts).toBe(1);
});

test('step: an act that goes on for longer than its limit is stopped', async () => {
  const world = newWorld();
  const bench = openBench(rig, [
    deed(world, 'changes', {
      limit: '20ms',
      run: (_values: object, { signal }: { signal: AbortSignal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('killed')));
        }),
    }),
  ]);
  const run = await bench.start([{ ...step, retry: { attempts: 1, delayMs: 1 } }]);
  await bench.deliver(run);
  expect((await bench.view(run)).error).toMatchObject({
    code: 'COMMAND_TIMED_OUT',
    message: 'the act did not end within 20ms and was stopped',
  });
});

test('step: acts that stop or destroy never overlap in a cluster, over runs and workers', async () => {
  let within = 0;
  let most = 0;
  let proceed: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const overlap = (world: World) =>
    deed(world, 'stops-service', {
      blockers: async () => {
        within += 1;
        most = Math.max(most, within);
        await gate;
        return [];
      },
      run: async () => {
        within -= 1;
        world.acts += 1;
        world.isDone = true;
      },
    });
  const [one, two] = [newWorld(), newWorld()];
  const [first, second] = [openBench(rig, [overlap(one)]), openBench(rig, [overlap(two)])];
  const [runOne, runTwo] = [await first.start([step]), await second.start([step])];
  const works = [first.deliver(runOne), second.deliver(runTwo)];
  const oneWaits = async () => ((await rig.states(runOne)) + (await rig.states(runTwo))).includes('w');
  expect(await waitUntil(oneWaits, 5000)).toBe(true);
  const waiting =
    (await rig.states(runOne)) === 'w' ? { bench: first, run: runOne } : { bench: second, run: runTwo };
  expect((await waiting.bench.view(waiting.run)).waiting?.reason).toMatch(
    /^another step that stops or destroys is under way in this cluster \(step 0 of run /,
  );
  proceed();
  await Promise.all(works);
  // giving the lock back has made the other one ready
  await waiting.bench.deliver(waiting.run);
  expect(await rig.states(runOne)).toBe('s');
  expect(await rig.states(runTwo)).toBe('s');
  expect([one.acts, two.acts, most]).toEqual([1, 1, 1]);
});

test('step: what destroys is not begun where Redis cannot promise to remember it', async () => {
  const world = newWorld();
  const store: Workshop['store'] = { ...rig.store, confirmDurable: async () => false };
  const bench = openBench(rig, [deed(world, 'destroys-data')], { store });
  const run = await bench.start([step]);
  await bench.deliver(run);
  const view = await bench.view(run);
  expect(view.error).toMatchObject({
    code: 'REDIS_UNSUITABLE',
    message: 'deed destroys data, and this Redis cannot promise to remember that it began',
  });
  expect(view.isActing).toBeUndefined();
  expect(world.acts).toBe(0);
});

test('step: a run that is being aborted begins no act', async () => {
  const world = newWorld();
  const bench = openBench(rig, [
    deed(world, 'changes', {
      blockers: async () => {
        await rig.store.abort(run, { by: 'ann' });
        return [];
      },
    }),
  ]);
  const run: string = await bench.start([step]);
  await bench.deliver(run);
  expect(world.acts).toBe(0);
  expect(await rig.runState(run)).toBe('aborted');
});

test('step: a delivery that is no longer valid does nothing', async () => {
  const world = newWorld();
  const bench = openBench(rig, [deed(world, 'changes')]);
  const run = await bench.start([step]);
  const stopping = new AbortController().signal;
  await carryOut({ run, step: 0, delivery: 99 }, bench.shop, stopping);
  expect(world.acts).toBe(0);
  await bench.deliver(run);
  await bench.deliver(run);
  expect(world.acts).toBe(1);
});
