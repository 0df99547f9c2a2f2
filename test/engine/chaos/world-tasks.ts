import { setTimeout as sleep } from 'node:timers/promises';
import { CephflowError } from '../../../src/base/errors.ts';
import type { TaskLibrary } from '../../../src/engine/load-tasks.ts';
import type { ActContext, ReadContext } from '../../../src/task/context.ts';
import { duration, integer } from '../../../src/task/params.ts';
import { type Answer, type Task, task } from '../../../src/task/task.ts';
import type { World } from './world.ts';

/** Places inside the tasks at which a process may be killed. */
export type PointInTask =
  | 'in-act'
  | 'after-effect'
  | 'in-hold-release'
  | 'in-remember'
  | 'in-undo'
  | 'after-undo-effect';

/** Told by a task how far it is. */
export type Reach = (point: PointInTask, run: string) => void;

/** Hash of every task of the world. */
const worldHash = 'hash-of-the-world';

const ms = () => integer('How long the act takes, in milliseconds');
const poll = '100ms';
/** What a step waits for whose run is to be taken back. */
export const untilUndone = 'the run to be taken back';

/** Make the tasks that act on a world. `reach` is told when an act has begun, and when its effect is there. */
export function worldTasks(world: World, reach: Reach = () => undefined): TaskLibrary {
  const { act, isDone } = acting(world, reach);
  const tasks: readonly Task[] = [
    task({ name: 'world.noop', summary: 'Act once', risk: 'changes', params: {}, run: (_, it) => act(it) }),
    task({
      name: 'world.set',
      summary: 'Set',
      risk: 'changes',
      params: {},
      done: isDone,
      run: (_, it) => act(it),
    }),
    task({
      name: 'world.slow',
      summary: 'Set, slowly at the first try',
      risk: 'changes',
      params: { ms: ms(), again_ms: integer('How long a further try takes', { default: 0 }) },
      done: isDone,
      run: ({ ms, again_ms }, it) =>
        act(it, Number(world.poll(it.step.run, it.step.id) === 1 ? ms : (again_ms ?? 0))),
    }),
    task({
      name: 'world.list',
      summary: 'Give a list',
      risk: 'changes',
      params: {},
      output: { values: 'Three texts' },
      done: isDone,
      run: async (_, it) => {
        await act(it);
        return { values: ['a', 'b', 'c'] };
      },
      undo: undoing(world, reach),
    }),
    ...undoTasks(world, reach, { act, isDone }),
    ...flakyTask(world, act),
    ...waitingTasks(world),
    ...severeTasks(reach, { act, isDone }),
    holdTask(world, reach, { act, isDone }),
  ];
  return new Map(tasks.map((one) => [one.name, { task: one, file: one.name, hash: worldHash }]));
}

type Acting = ReturnType<typeof acting>;

function acting(world: World, reach: Reach) {
  return {
    act: async ({ step, signal }: Pick<ActContext, 'step' | 'signal'>, takesMs = 0): Promise<void> => {
      const begun = world.begin(step.run, step.id);
      reach('in-act', step.run);
      try {
        await sleep(takesMs, undefined, { signal });
      } catch (thrown) {
        begun.aborted();
        throw thrown;
      }
      begun.effect();
      reach('after-effect', step.run);
      begun.end();
    },
    isDone: async (_values: unknown, { step }: ReadContext): Promise<Answer> =>
      world.has(step.run, step.id) || { waitingFor: 'its mark in the world' },
  };
}

function flakyTask(world: World, act: Acting['act']): readonly Task[] {
  return [
    task({
      name: 'world.flaky',
      summary: 'Fail at the first try, then act once',
      risk: 'changes',
      params: {},
      run: async (_, it) => {
        if (world.poll(it.step.run, it.step.id) === 1)
          throw new CephflowError('CEPH_UNREACHABLE', 'the first try fails');
        await act(it);
      },
    }),
  ];
}

/** Taking back is noted as an act of the step that does it, as the plan names it. */
function undoing(world: World, reach: Reach) {
  return async (_values: unknown, { step }: Pick<ActContext, 'step'>): Promise<void> => {
    const begun = world.begin(step.run, `${step.id}.undo`);
    reach('in-undo', step.run);
    world.take(step.run, step.id);
    begun.effect();
    reach('after-undo-effect', step.run);
    begun.end();
  };
}

function undoTasks(world: World, reach: Reach, { act, isDone }: Acting): readonly Task[] {
  const undo = undoing(world, reach);
  return [
    task({
      name: 'world.back',
      summary: 'Set what can be taken back',
      risk: 'changes',
      params: {},
      done: isDone,
      run: (_, it) => act(it),
      undo,
    }),
    task({
      name: 'world.halt',
      summary: 'Stop what can be started again',
      risk: 'stops-service',
      params: { ms: ms() },
      poll,
      done: isDone,
      blockers: async () => [],
      run: (values, it) => act(it, Number(values.ms)),
      undo,
    }),
    task({
      name: 'world.leave',
      summary: 'Wait until the run is taken back',
      risk: 'reads',
      params: {},
      poll,
      done: async (): Promise<Answer> => ({ waitingFor: untilUndone }),
    }),
  ];
}

function waitingTasks(world: World): readonly Task[] {
  return [
    task({
      name: 'world.wait',
      summary: 'Wait for some polls',
      risk: 'reads',
      params: { polls: integer('How often it is asked until it is so') },
      poll,
      done: async ({ polls }, { step }): Promise<Answer> => {
        // many of these at once cost nothing
        if (polls === 0) return true;
        const asked = world.poll(step.run, step.id);
        const progress = { value: asked, target: Number(polls), unit: 'polls' };
        return asked >= Number(polls) || { waitingFor: 'more polls', progress };
      },
    }),
    task({
      name: 'world.ask',
      summary: 'Ask a person',
      risk: 'reads',
      params: {},
      done: async (_, { decision }): Promise<Answer> =>
        decision?.verdict === 'approved' || { waitingFor: 'a person', question: 'Shall it go on?' },
    }),
  ];
}

function severeTasks(reach: Reach, { act, isDone }: Acting): readonly Task[] {
  const severe = (name: string, risk: 'destroys-data' | 'stops-service') =>
    task({
      name,
      summary: 'Do what is not done twice',
      risk,
      params: { ms: ms() },
      poll,
      done: isDone,
      blockers: async () => [],
      remember: async (_, { step }) => {
        reach('in-remember', step.run);
        return { was: step.key };
      },
      run: (values, it) => act(it, Number(values.ms)),
    });
  return [severe('world.destroy', 'destroys-data'), severe('world.stop', 'stops-service')];
}

function holdTask(world: World, reach: Reach, { act, isDone }: Acting): Task {
  return task({
    name: 'world.hold',
    summary: 'Hold for as long as the run lives',
    risk: 'changes',
    params: { life: duration('How long it lasts unless renewed') },
    done: isDone,
    run: (_, it) => act(it),
    hold: {
      life: 'life',
      renew: async () => undefined,
      release: async (_, { step }) => {
        const begun = world.begin(step.run, `${step.id}!release`);
        reach('in-hold-release', step.run);
        world.take(step.run, step.id);
        begun.effect();
        begun.end();
      },
    },
  });
}
