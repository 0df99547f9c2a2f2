import { expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { carryOut } from '../../src/engine/deliver.ts';
import { type ActGuard, openCluster, type Systems } from '../../src/engine/systems.ts';
import type { CommandLock } from '../../src/remote/command.ts';
import type { LockHolder } from '../../src/remote/lock.ts';
import { task } from '../../src/task/task.ts';
import { fakeMarkers } from './fake-markers.ts';
import { openBench } from './step-bench.ts';
import { rigForEachTest } from './store-rig.ts';

const rig = rigForEachTest();
const holder = { group: '4711', file: '/run/cephflow/x.lock' };
const stillRuns =
  'the command that deed began on ceph-osd-07 still runs there (process group 4711, lock /run/cephflow/x.lock)';

/** Nodes of which a test says what runs there, and a task that sends a command to each node that its plan names. */
function openWorld(nodes: readonly string[]) {
  const world = {
    isDone: false,
    asks: 0,
    commands: [] as string[],
    asked: [] as { node: string; lock: CommandLock }[],
    running: undefined as LockHolder | Error | undefined,
    /** Happens in place of the command. */
    command: async (_node: string): Promise<void> => undefined,
  };
  const read = {
    ceph: { osdMap: async () => ({ fsid: 'f51d' }) },
    monitoring: {},
    machine: () => ({}),
    markers: fakeMarkers(),
  };
  const systems = {
    read: () => read,
    act: (_signal: AbortSignal, guard: ActGuard) => ({
      ...read,
      machine: (node: string) => ({
        startOsd: async () => {
          await guard.before(node);
          world.commands.push(`${node} ${guard.lock.name.split('/')[1]} ${guard.lock.turn}`);
          await world.command(node);
        },
      }),
    }),
    findRunning: async (node: string, lock: CommandLock) => {
      world.asked.push({ node, lock });
      if (world.running instanceof Error) throw world.running;
      return world.running;
    },
    close: async () => undefined,
  } as unknown as Systems;
  const deed = task({
    name: 'thing.start',
    summary: 'Start',
    risk: 'changes',
    params: {},
    done: async () => {
      world.asks += 1;
      return world.isDone || { waitingFor: 'it runs' };
    },
    run: async (_values, { machine }) => {
      for (const node of nodes) await machine(node).startOsd(1);
      world.isDone = true;
    },
  });
  const cluster = openCluster(systems, new AbortController().signal, Date.now);
  const bench = openBench(rig, [deed], { cluster: async () => cluster });
  return { world, bench, start: () => bench.start([{ id: 'deed', task: 'thing.start' }]) };
}

const unreachable = () => new CephflowError('SSH_UNREACHABLE', 'ceph-osd-07 cannot be reached');

test('running: what a lost command began is waited for before anything is asked, then the act is tried again', async () => {
  const { world, bench, start } = openWorld(['ceph-osd-07']);
  const run = await start();
  world.command = () => Promise.reject(unreachable());
  await bench.deliver(run);
  expect(world.commands).toEqual(['ceph-osd-07 deed 1']);
  const asksBefore = world.asks;
  world.running = holder;
  await bench.again(run);
  await bench.again(run);
  expect((await bench.view(run)).waiting?.reason).toBe(stillRuns);
  expect(world.asks).toBe(asksBefore);
  world.running = undefined;
  world.command = async () => undefined;
  await bench.again(run);
  expect((await bench.view(run)).state).toBe('succeeded');
  expect(world.asked.map(({ node, lock }) => [node, lock.name])).toEqual(
    Array.from({ length: 3 }, () => ['ceph-osd-07', `${run}/deed`]),
  );
  const turns = world.asked.map(({ lock }) => lock.turn);
  expect(turns).toEqual([...turns].sort((a, b) => a - b));
  expect(world.commands.at(-1)).toBe(`ceph-osd-07 deed ${turns.at(-1)}`);
});

test('running: a node that does not answer is waited for, and nothing is done meanwhile', async () => {
  const { world, bench, start } = openWorld(['ceph-osd-07']);
  const run = await start();
  world.command = () => Promise.reject(unreachable());
  await bench.deliver(run);
  world.running = unreachable();
  await bench.again(run);
  expect((await bench.view(run)).waiting?.reason).toBe('SSH_UNREACHABLE: ceph-osd-07 cannot be reached');
  expect(world.commands).toHaveLength(1);
});

test('running: what still runs counts against the step its time limit', async () => {
  const { world, bench } = openWorld(['ceph-osd-07']);
  const timeout = { afterMs: 1, outcome: 'fail' } as const;
  const run = await bench.start([{ id: 'deed', task: 'thing.start', timeout }]);
  world.command = () => Promise.reject(unreachable());
  await bench.deliver(run);
  world.running = holder;
  await bench.again(run);
  expect((await bench.view(run)).error?.message).toBe(`deed has not finished within 0s: ${stillRuns}`);
});

test('running: a worker that lost its lease in the middle of an act sends nothing more', async () => {
  const { world, bench, start } = openWorld(['ceph-osd-07', 'ceph-osd-08']);
  const run = await start();
  let asked: readonly string[] = [];
  world.command = async () => {
    world.command = async () => undefined;
    // meanwhile the lease runs out, and another worker carries the step to its end
    await rig.fire(run, 0);
    await carryOut(
      { run, step: 0, delivery: await rig.delivery(run, 0) },
      bench.shop,
      new AbortController().signal,
    );
    asked = world.asked.map(({ node }) => node);
  };
  await bench.deliver(run);
  expect((await bench.view(run)).state).toBe('succeeded');
  expect(asked).toEqual(['ceph-osd-07']);
  expect(world.commands).toEqual(['ceph-osd-07 deed 1', 'ceph-osd-07 deed 2', 'ceph-osd-08 deed 2']);
});

test('running: nodes are remembered while a person is asked', async () => {
  const { world, bench, start } = openWorld(['ceph-osd-07']);
  const run = await start();
  world.command = () => Promise.reject(new CephflowError('NODE_UNSUITABLE', 'no room'));
  await bench.deliver(run);
  expect((await bench.view(run)).waiting?.question).toContain('no room');
  world.running = holder;
  await rig.store.decide(run, 0, { verdict: 'approved', by: 'ann', comment: '' });
  await bench.deliver(run);
  expect((await bench.view(run)).waiting?.reason).toBe(stillRuns);
  expect(world.commands).toHaveLength(1);
});
