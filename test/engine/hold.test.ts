import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { carryOut } from '../../src/engine/deliver.ts';
import { duration } from '../../src/index.ts';
import { task } from '../../src/task/task.ts';
import { type Bench, openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

const lifeMs = 7_200_000;

interface World {
  isSilent: boolean;
  calls: string[];
  fault?: CephflowError;
  /** Waited for by a renewal after it took effect. */
  renewing?: (signal: AbortSignal) => Promise<void>;
  releasing?: (signal: AbortSignal) => Promise<void>;
}

const silence = (world: World, limit?: string) => {
  const call = (what: string, step: { id: string }) => {
    world.calls.push(`${what} ${step.id}`);
    if (world.fault) throw world.fault;
  };
  return task({
    name: 'alerts.silence',
    summary: 'Silence',
    risk: 'changes',
    params: { life: duration('Life') },
    ...(limit !== undefined && { limit }),
    done: async () => world.isSilent || { waitingFor: 'alerts sound' },
    run: async (_values, { step }) => {
      call('take', step);
      world.isSilent = true;
    },
    hold: {
      life: 'life',
      renew: async (_values, { step, signal }) => {
        call('renew', step);
        await world.renewing?.(signal);
      },
      release: async (_values, { step, signal }) => {
        call('release', step);
        await world.releasing?.(signal);
      },
    },
  });
};

const steps = [
  { id: 'silence', task: 'alerts.silence', with: { life: lifeMs } },
  { id: 'work', kind: 'task', task: 'person.wait', after: [0] },
  { id: 'sound', kind: 'release', task: 'alerts.silence', part: 'finally', releases: 0 },
] as const;

const wait = task({
  name: 'person.wait',
  summary: 'Wait',
  risk: 'reads',
  params: {},
  done: async (_values, { decision }) =>
    decision !== undefined || { waitingFor: 'a person', question: 'Ready?' },
});

const renewal = (run: string) => ({ run, step: 0, delivery: 1, renew: true }) as const;
const never = new AbortController().signal;
const holdOf = async (run: string) => (await rig.store.snapshot(run)).holds[0];

async function goOn(bench: Bench, run: string): Promise<void> {
  await rig.store.decide(run, 1, { verdict: 'approved', by: 'ann', comment: '' });
  await bench.deliver(run, 1);
}

test('hold: taken, recorded, renewed at a third of its life, released at the end', async () => {
  const world: World = { isSilent: false, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  const taken = await holdOf(run);
  expect((taken?.expiresMs ?? 0) - (taken?.renewMs ?? 0)).toBe(lifeMs - lifeMs / 3);
  await carryOut(renewal(run), bench.shop, never);
  const renewed = await holdOf(run);
  expect(renewed?.renewMs).toBeGreaterThanOrEqual(taken?.renewMs ?? Number.NaN);
  await goOn(bench, run);
  // the release speaks for the step that took it
  expect(world.calls).toEqual(['take silence', 'renew silence', 'release silence']);
  expect(await rig.runState(run)).toBe('succeeded');
  expect(await holdOf(run)).toBeUndefined();
  await carryOut(renewal(run), bench.shop, never);
  expect(world.calls).toHaveLength(3);
});

test('hold: a renewal that fails is tried again soon, and its end stays where it is', async () => {
  const world: World = { isSilent: false, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  const taken = await holdOf(run);
  world.fault = new CephflowError('MONITORING_FAILED', 'no answer');
  await carryOut(renewal(run), bench.shop, never);
  const after = await holdOf(run);
  expect(after?.expiresMs).toBe(taken?.expiresMs);
  expect(after?.renewMs).toBeLessThan(taken?.renewMs ?? 0);
  expect(bench.lines).toEqual([`hold of step 0 of run ${run} was not renewed: no answer`]);
});

test('hold: Ceph need not answer for a renewal', async () => {
  const world: World = { isSilent: false, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  bench.cluster.trouble = new CephflowError('CEPH_UNREACHABLE', 'down');
  await carryOut(renewal(run), bench.shop, never);
  expect(world.calls).toEqual(['take silence', 'renew silence']);
});

test('hold: of another cluster under the same name nothing is renewed', async () => {
  const world: World = { isSilent: false, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  const later = openBench(rig, [silence(world), wait]);
  later.cluster.fsid = 'other';
  await carryOut(renewal(run), later.shop, never);
  expect(world.calls).toEqual(['take silence']);
  expect(later.lines[0]).toContain('lab is not the cluster this plan was made for: its fsid is other');
});

test('hold: what somebody else had taken is neither renewed nor released', async () => {
  const world: World = { isSilent: true, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  expect(await holdOf(run)).toBeUndefined();
  await goOn(bench, run);
  expect(world.calls).toEqual([]);
  expect(await rig.states(run)).toBe('ssk');
});

test('hold: one that was taken by an act of unknown end is renewed at once and released', async () => {
  const world: World = { isSilent: true, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await rig.store.acting(await rig.claim(run, 0));
  await rig.fire(run, 0);
  await bench.deliver(run);
  const { nowMs } = await rig.store.snapshot(run);
  expect((await holdOf(run))?.renewMs).toBeLessThanOrEqual(nowMs);
  await goOn(bench, run);
  expect(world.calls).toEqual(['release silence']);
});

test('hold: a release that fails for good leaves the run left-over', async () => {
  const world: World = { isSilent: false, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  world.fault = new CephflowError('NOT_CONFIGURED', 'no alertmanager');
  await goOn(bench, run);
  expect(await rig.runState(run)).toBe('left-over');
  expect((await bench.view(run, 2)).error?.message).toBe('no alertmanager');
});

test('hold: a renewal whose answer was lost while the run ended is given back', async () => {
  const world: World = { isSilent: false, calls: [] };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  world.renewing = async () => {
    await goOn(bench, run);
    throw new CephflowError('MONITORING_FAILED', 'the connection was lost');
  };
  await carryOut(renewal(run), bench.shop, never);
  expect(await rig.runState(run)).toBe('succeeded');
  expect(world.calls).toEqual(['take silence', 'renew silence', 'release silence', 'release silence']);
});

/** Hangs until told to end. */
const hang = (signal: AbortSignal) =>
  new Promise<void>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('ended')));
  });

test('hold: a renewal that hangs is ended by the limit of its task', async () => {
  const world: World = { isSilent: false, calls: [], renewing: hang };
  const bench = openBench(rig, [silence(world, '1s'), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  await carryOut(renewal(run), bench.shop, never);
  expect(bench.lines).toEqual([
    `hold of step 0 of run ${run} was not renewed: the act did not end within 1s and was stopped`,
  ]);
});

test('hold: a release that hangs is ended by the limit of its task, and tried again', async () => {
  const world: World = { isSilent: false, calls: [], releasing: hang };
  const bench = openBench(rig, [silence(world, '1s'), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  await goOn(bench, run);
  expect((await bench.view(run, 2)).error?.message).toBe('the act did not end within 1s and was stopped');
  expect(await rig.states(run)).toBe('ssw');
});

test('hold: while it is being renewed, another delivery of the renewal takes no slot', async () => {
  let proceed: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const world: World = { isSilent: false, calls: [], renewing: () => gate };
  const bench = openBench(rig, [silence(world), wait]);
  const run = await bench.start(steps);
  await bench.deliver(run);
  const first = carryOut(renewal(run), bench.shop, never);
  await carryOut(renewal(run), bench.shop, never);
  proceed();
  await first;
  expect(world.calls).toEqual(['take silence', 'renew silence']);
  await carryOut(renewal(run), bench.shop, never);
  expect(world.calls).toHaveLength(3);
});
