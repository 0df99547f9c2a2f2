import { beforeEach, expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import type { Risk } from '../../src/task/task.ts';
import { task } from '../../src/task/task.ts';
import { fakeMarkers, ourInstance } from './fake-markers.ts';
import { type Bench, openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();

const acts: string[] = [];
beforeEach(() => {
  acts.length = 0;
});

function bench(risk: Risk = 'changes', more: object = {}): Bench {
  return openBench(rig, [
    task({
      name: 'thing.do',
      summary: 'Do it',
      risk,
      params: {},
      done: async (_values, { step }) => acts.includes(step.id) || { waitingFor: 'it' },
      blockers: async () => [],
      run: async (_values, { step }) => {
        acts.push(step.id);
      },
      ...more,
    }),
  ]);
}

const step = { id: 'act', task: 'thing.do' };
const freeze = {
  value: { by: 'ada@adm1', host: 'adm1', at: '2026-11-23T10:00:05.000Z', reason: 'switch reboot' },
};
const since = '2026-11-23T09:00:00.000Z';
const other = { value: { ...ourInstance, instance: 'ffff00001111', host: 'adm2', since } };
const ours = { value: { ...ourInstance, since } };

const reasonOf = async (at: Bench, run: string) => (await at.view(run)).waiting?.reason;
/** Milliseconds until the step is asked again, roughly. */
async function askedIn(at: Bench, run: string): Promise<number> {
  const due = Number(await rig.redis.zscore(`${rig.prefix}:timers`, `${run}|0`));
  const [seconds = 0, micros = 0] = (await rig.redis.time()).map(Number);
  expect(await at.view(run)).toBeDefined();
  return due - (seconds * 1000 + micros / 1000);
}

for (const risk of ['changes', 'moves-data', 'stops-service', 'destroys-data'] as const) {
  test(`guard: in a frozen cluster a step that ${risk} waits, says by whom and why, and goes on by itself`, async () => {
    const at = bench(risk);
    at.cluster.markers.found = { instance: ours, freeze };
    const run = await at.start([step]);
    await at.deliver(run);
    expect(await reasonOf(at, run)).toBe('frozen by ada@adm1 since 2026-11-23T10:00:05Z: switch reboot');
    expect(Math.abs((await askedIn(at, run)) - 10_000)).toBeLessThan(3000);
    expect(acts).toEqual([]);
    const thawed = bench(risk);
    await thawed.again(run);
    expect(acts).toEqual(['act']);
    expect(await rig.states(run)).toBe('s');
  });
}

test('guard: a freeze marker that cannot be read freezes', async () => {
  const at = bench();
  at.cluster.markers.found = { instance: ours, freeze: { unreadable: 'stop it!' } };
  const run = await at.start([step]);
  await at.deliver(run);
  expect(await reasonOf(at, run)).toBe(
    'frozen: the freeze marker cannot be read (it begins: stop it!); find out who wrote it, then: cephflow unfreeze',
  );
  expect(acts).toEqual([]);
});

test('guard: a frozen cluster that nobody acts on is not claimed either', async () => {
  const at = bench();
  at.cluster.markers.found = { freeze };
  await at.deliver(await at.start([step]));
  expect(at.cluster.markers.written).toEqual([]);
});

test('guard: what stops or destroys asks anew each time, the rest takes an answer of two seconds', async () => {
  for (const [risk, reads] of [
    ['changes', 1],
    ['moves-data', 1],
    ['stops-service', 3],
    ['destroys-data', 3],
  ] as const) {
    const at = bench(risk);
    const run = await at.start([0, 1, 2].map((n) => ({ ...step, id: `s${n}` })));
    for (const n of [0, 1, 2]) await at.deliver(run, n);
    expect(acts.splice(0)).toHaveLength(3);
    expect({ risk, reads: at.cluster.markers.reads }).toEqual({ risk, reads });
  }
});

test('guard: a wait goes on asking while the cluster is frozen', async () => {
  let isDone = false;
  const at = openBench(rig, [
    task({
      name: 'thing.wait',
      summary: 'Wait for it',
      risk: 'reads',
      params: {},
      done: async () => isDone || { waitingFor: 'the thing' },
    }),
  ]);
  at.cluster.markers.found = { freeze };
  const run = await at.start([{ id: 'wait', task: 'thing.wait' }]);
  await at.deliver(run);
  expect(await reasonOf(at, run)).toBe('the thing');
  isDone = true;
  await at.again(run);
  expect(await rig.states(run)).toBe('s');
});

test('guard: an act that was done when the cluster was frozen is read back', async () => {
  let isDone = false;
  const at = bench('stops-service', { done: async () => isDone || { waitingFor: 'its effect' } });
  const run = await at.start([step]);
  await at.deliver(run);
  expect(acts).toEqual(['act']);
  at.cluster.markers.found = { instance: ours, freeze };
  isDone = true;
  await at.again(run);
  expect(await rig.states(run)).toBe('s');
});

test('guard: what is held is given back while frozen, and while another instance acts', async () => {
  const held = {
    hold: {
      life: 'life',
      take: async () => undefined,
      renew: async () => undefined,
      release: async () => {
        acts.push('release');
      },
    },
    params: { life: { kind: 'duration', about: 'How long' } },
  };
  const at = bench('changes', held);
  const run = await at.start([
    { ...step, with: { life: 60_000 } },
    { id: 'back', task: 'thing.do', kind: 'release', releases: 0, part: 'finally', after: [0] },
  ]);
  await at.deliver(run);
  at.cluster.markers.found = { instance: other, freeze };
  await at.deliver(run, 1);
  expect(acts).toEqual(['act', 'release']);
});

test('guard: a cluster that nobody acts on is claimed, and acted on only when the claim has stood', async () => {
  const at = bench();
  at.cluster.markers.found = {};
  const run = await at.start([step]);
  await at.deliver(run);
  expect(await reasonOf(at, run)).toBe('making sure that no other instance claims cluster lab too');
  expect(at.cluster.markers.written).toEqual([{ ...ourInstance, since: expect.stringMatching(/^20.*Z$/) }]);
  expect(Math.abs((await askedIn(at, run)) - 5000)).toBeLessThan(1500);
  // still young: asked again at once, it waits on
  await at.again(run);
  expect(acts).toEqual([]);
  expect(at.cluster.markers.written).toHaveLength(1);
  const later = bench();
  later.cluster.markers.found = { instance: ours };
  await later.again(run);
  expect(acts).toEqual(['act']);
});

test('guard: of two instances that claim a cluster at once, the one that reads the other’s id yields', async () => {
  const shared = fakeMarkers({});
  const theirs = { ...ourInstance, instance: other.value.instance, host: 'adm2' };
  // both look before either writes
  const bothLooked = { found: {}, get: async () => ({}) };
  const at = [bench(), bench()] as const;
  const runs = [await at[0].start([step]), await at[1].start([step])] as const;
  for (const one of at) {
    Object.assign(one.cluster.markers, bothLooked, { setInstance: shared.setInstance });
  }
  Object.assign(at[1].shop, { instance: theirs });
  await at[0].deliver(runs[0]);
  await at[1].deliver(runs[1]);
  expect(shared.written.map(({ instance }) => instance)).toEqual([ourInstance.instance, theirs.instance]);
  const settled = [bench(), bench()] as const;
  Object.assign(settled[1].shop, { instance: theirs });
  for (const one of settled) one.cluster.markers.found = { instance: { value: { ...theirs, since } } };
  await settled[0].again(runs[0]);
  await settled[1].again(runs[1]);
  expect(await reasonOf(settled[0], runs[0])).toBe(
    'cluster lab is acted on by instance ffff00001111 (host adm2, since 2026-11-23T09:00:00Z): end its runs, or take over with cephflow instance take --cluster lab',
  );
  expect(await rig.states(runs[1])).toBe('s');
  expect(acts).toEqual(['act']);
});

test('guard: steps that come at once claim a cluster with one record', async () => {
  const at = bench();
  at.cluster.markers.found = {};
  const run = await at.start(Array.from({ length: 8 }, (_, n) => ({ ...step, id: `s${n}` })));
  await Promise.all(Array.from({ length: 8 }, (_, n) => at.deliver(run, n)));
  expect(at.cluster.markers.written).toHaveLength(1);
  expect(acts).toEqual([]);
});

test('guard: a cluster of another instance is not acted on, nor one whose record cannot be read', async () => {
  const at = bench('destroys-data');
  at.cluster.markers.found = { instance: other };
  const run = await at.start([step]);
  await at.deliver(run);
  expect(Math.abs((await askedIn(at, run)) - 30_000)).toBeLessThan(3000);
  at.cluster.markers.found = { instance: { unreadable: '(nothing)' } };
  await at.again(run);
  expect(await reasonOf(at, run)).toBe(
    'cluster lab is acted on by somebody whose record cannot be read (it begins: (nothing)): end its runs, or take over with cephflow instance take --cluster lab',
  );
  expect(at.cluster.markers.written).toEqual([]);
  at.cluster.markers.found = { instance: ours };
  await at.again(run);
  expect(acts).toEqual(['act']);
});

test('guard: a cluster that cannot be asked for its markers is waited for', async () => {
  const at = bench();
  at.cluster.markers.trouble = new CephflowError('CEPH_UNREACHABLE', 'the monitors do not answer adm1');
  const run = await at.start([step]);
  await at.deliver(run);
  expect(await reasonOf(at, run)).toBe('CEPH_UNREACHABLE: the monitors do not answer adm1');
  delete at.cluster.markers.trouble;
  await at.again(run);
  expect(acts).toEqual(['act']);
});

test('guard: a key that may not read the markers fails the step, and nothing was done', async () => {
  const at = bench('destroys-data');
  at.cluster.markers.trouble = new CephflowError('CEPH_NOT_PERMITTED', 'the cephx key may not do this', {
    hint: 'add to the mon caps',
  });
  const run = await at.start([step]);
  await at.deliver(run);
  expect(await at.view(run)).toMatchObject({
    state: 'failed',
    error: { code: 'CEPH_NOT_PERMITTED', hint: 'add to the mon caps' },
  });
  expect(acts).toEqual([]);
});
