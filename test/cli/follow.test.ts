import { describe, expect, test } from 'vitest';
import type { Context } from '../../src/cli/context.ts';
import { follow } from '../../src/cli/follow.ts';
import { createControl } from '../../src/engine/control.ts';
import { waitUntil } from '../../src/engine/processes.ts';
import type { UndoRequest } from '../../src/plan/undo.ts';
import { type Task, task } from '../../src/task/task.ts';
import { planOf } from '../engine/plans.ts';
import { type Bench, openBench } from '../engine/step-bench.ts';
import { rigForEachTest } from '../engine/store-rig.ts';

const limitMs = 20_000;
const rig = rigForEachTest();
const ann = { by: 'ann@adm1', reason: 'looked' };

const set: Task = task({
  name: 'thing.set',
  summary: 'Set a thing',
  risk: 'changes',
  params: {},
  run: async () => undefined,
  undo: async () => undefined,
});
const swapped: Task = task({
  name: 'person.swap',
  summary: 'Ask whether it is in',
  risk: 'reads',
  params: {},
  done: async () => ({ waitingFor: 'a person', question: 'Is it in?' }),
});
const library = new Map([set, swapped].map((one) => [one.name, one])) as UndoRequest['tasks'];
const control = () => createControl(rig.store, { tasks: async () => library });

/** Follow a run as `watch` and a start do. Moments are written as TIME, runs as RUN; durations as TOOK. */
function followed(run: string, options: { readonly fromStart: boolean; readonly asJson?: boolean }) {
  const lines: string[] = [];
  const keep = (text: string) => void lines.push(...text.split('\n'));
  const context = {
    globals: { output: options.asJson ? 'json' : 'text', quiet: false, verbose: false },
    io: { data: keep, say: keep, warn: keep, dataWidth: undefined, sayWidth: undefined },
    wire: {
      self: 'cephflow',
      nowMs: () => Date.now(),
      store: async () => rig.store,
      keepGoing: async () => undefined,
    },
  } as unknown as Context;
  const steady = (line: string) =>
    line
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME')
      .replaceAll(run.slice(-4), 'RUN')
      .replaceAll(/\b(in|for) \d+m?\d*s/g, '$1 TOOK')
      .replaceAll(/ {2,}/g, '  ')
      .trimEnd();
  const told = () => lines.map(steady);
  const ended = follow(context, run, options);
  const saysSoon = async (text: string) =>
    expect(await waitUntil(async () => told().some((line) => line.includes(text)), limitMs), text).toBe(true);
  return { ended, told, lines, saysSoon };
}

/** Carry out whatever is ready, as a worker does, until nothing is. */
async function work(bench: Bench, run: string): Promise<void> {
  for (let ready = await rig.steps(run); ready.length > 0; ready = await rig.steps(run)) {
    for (const step of ready) await bench.deliver(run, step);
  }
}

describe('following a run', () => {
  test('that is paused and taken back: it says so, knows the steps that are appended, and ends with 6', async () => {
    const bench = openBench(rig, [set, swapped]);
    const steps = [
      { id: 'set-a', task: set.name, title: 'Set a' },
      { id: 'set-b', task: set.name, title: 'Set b', after: [0] },
      { id: 'swapped', task: swapped.name, after: [1] },
    ];
    const run = await bench.start(steps);
    await work(bench, run);
    const { ended, told, saysSoon } = followed(run, { fromStart: false });
    await saysSoon('run RUN asks: Is it in?');
    await control().pause(run, ann);
    await saysSoon('run RUN is paused');
    await control().undo(run, ann);
    await work(bench, run);
    expect(await ended).toBe(6);
    expect(told()).toEqual([
      'TIME  RUN  -  heartbeat  2/3 done, 0 running, 1 waiting, 0 failed',
      'TIME  RUN  swapped  waiting  a person',
      'run RUN asks: Is it in?',
      '  yes: cephflow approve RUN swapped',
      '  no:  cephflow reject RUN swapped --comment "…"',
      'TIME  RUN  -  paused',
      'TIME  RUN  -  control  pause by ann@adm1: looked',
      'run RUN is paused: what is under way ends, nothing new begins; go on with: cephflow resume RUN',
      'TIME  RUN  -  undoing',
      'TIME  RUN  -  control  undo by ann@adm1: looked',
      'TIME  RUN  undo  running',
      'TIME  RUN  undo  grown  3 steps are appended',
      'TIME  RUN  undo  succeeded  0/2 taken back',
      'TIME  RUN  set-b  undoing',
      'TIME  RUN  set-b  undone  1/2 taken back',
      'TIME  RUN  set-a  undoing',
      'TIME  RUN  set-a  undone  2/2 taken back',
      'TIME  RUN  -  undone',
      'run RUN undone: 2/2 taken back in TOOK, 1 cancelled',
    ]);
  });

  test('that waits for a lock: who has it, and when it begins', async () => {
    const locks = [{ name: 'node/n1', capacity: 1 }];
    const first = await rig.store.createRun(planOf([{ id: 'a' }], { locks }), ann);
    const run = await rig.store.createRun(planOf([{ id: 'a' }], { locks }), { ...ann, waits: true });
    const { ended, told, saysSoon } = followed(run, { fromStart: true });
    await saysSoon('begins when its locks are free');
    await rig.pass(first, 0);
    await saysSoon('running');
    await rig.pass(run, 0);
    expect(await ended).toBe(0);
    expect(told()).toEqual([
      'run RUN begins when its locks are free; give up with: cephflow abort RUN --reason "…"',
      `  node/n1, which run ${first.slice(-4)} has held for TOOK`,
      'TIME  RUN  -  planned',
      'TIME  RUN  -  running',
      'TIME  RUN  a  running',
      'TIME  RUN  a  succeeded  1/1 done',
      'TIME  RUN  -  succeeded',
      'run RUN succeeded: 1/1 done in TOOK',
    ]);
  });

  test('of a crowd: one that became ready together is no line for people, but one for programs', async () => {
    const crowd = Array.from({ length: 40 }, (_, at) => ({ id: `s${at}`, after: [0] }));
    const run = await rig.store.createRun(planOf([{ id: 'first' }, ...crowd]), ann);
    await rig.pass(run, 0);
    await rig.store.kill(run, ann);
    const people = followed(run, { fromStart: true });
    const programs = followed(run, { fromStart: true, asJson: true });
    expect([await people.ended, await programs.ended]).toEqual([6, 6]);
    expect(people.told().filter((line) => line.includes('ready'))).toEqual([]);
    const events = programs.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    expect(events.filter(({ kind }) => kind === 'steps-became-ready')).toEqual([
      expect.objectContaining({ run, step: 's0', count: 40 }),
    ]);
  });
});
