import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Delivery, Store } from '../../../src/engine/store.ts';
import type { ShapeName } from './shapes.ts';
import type { PointInTask } from './world-tasks.ts';

/** Say where and when a process is killed: at the `nth` passing of a point by runs of a shape, over all its lives. */
export interface Kill {
  readonly point: PointName;
  readonly shape: ShapeName;
  readonly nth: number;
}

/** What a crash point may hook into. `hit` is told each passing, with the run where there is one. */
interface Parts {
  readonly store: Store;
  readonly redis: Redis;
  hit(run: string | undefined): void;
}

interface CrashPoint {
  /** Put the point into the store; a point inside a task has none. */
  readonly install?: (parts: Parts) => Partial<Store>;
  /** Shapes in which it occurs, with the passing at which to kill. */
  readonly on: Partial<Record<ShapeName, number>>;
  /** The process that starts runs is killed there, not a worker. */
  readonly isOfClient?: true;
}

/** What is killed where. To add a point, add a line. */
export const crashPoints = {
  'before-create': { install: before('createRun'), on: { diamond: 1, severe: 1 }, isOfClient: true },
  'in-create': { install: amid('createRun'), on: { chain: 1, wide: 1 }, isOfClient: true },
  'after-create': { install: after('createRun'), on: { diamond: 1, nested: 1 }, isOfClient: true },
  'after-enqueue': { install: before('claim'), on: { chain: 1, wide: 20, waits: 4 } },
  'before-claim-answer': { install: amid('claim'), on: { chain: 1, wide: 9, nested: 2, places: 2 } },
  'after-claim': {
    install: after('claim', isGranted),
    on: { diamond: 1, wide: 1, severe: 2, waits: 5, places: 3 },
  },
  'before-acting': { install: before('acting'), on: { chain: 3, places: 2, severe: 1, hold: 1 } },
  'after-acting': {
    install: after('acting'),
    on: { chain: 2, wide: 10, nested: 3, severe: 2, places: 3, hold: 1 },
  },
  'in-act': { on: { chain: 4, diamond: 3, wide: 40, nested: 2, severe: 1, places: 1, hold: 1 } },
  'after-effect': { on: { chain: 2, wide: 12, severe: 3, hold: 1, places: 4 } },
  'before-acted': { install: before('acted'), on: { chain: 5, diamond: 2, severe: 2, flaky: 1 } },
  'in-acted': { install: amid('acted'), on: { diamond: 4, severe: 1 } },
  'after-acted': { install: after('acted'), on: { chain: 3, wide: 25, severe: 3, hold: 1 } },
  'before-complete': {
    install: before('complete'),
    on: { chain: 6, wide: 33, nested: 4, waits: 2, severe: 2 },
  },
  'in-complete': { install: amid('complete'), on: { diamond: 5, wide: 50, nested: 6, severe: 3, places: 2 } },
  'after-complete': {
    install: after('complete'),
    on: { chain: 1, diamond: 1, wide: 1, nested: 3, places: 3, hold: 3 },
  },
  'after-take': { install: after('takeReady', isSomething), on: { chain: 1, wide: 2, waits: 1, nested: 2 } },
  'in-tick': { install: amid('tick'), on: { waits: 2, approvals: 3 } },
  'after-tick': { install: after('tick'), on: { waits: 4, places: 2 } },
  'in-advance': { install: betweenSlices, on: { slices: 1 } },
  'before-park': { install: before('park'), on: { waits: 2, approvals: 1 } },
  'after-park': { install: after('park'), on: { waits: 5, approvals: 2, places: 1 } },
  'in-retry': { install: amid('retryLater'), on: { flaky: 1 } },
  'in-remember': { on: { severe: 2 } },
  'after-remember': { install: after('remember'), on: { severe: 1 } },
  'after-recordHold': { install: after('recordHold'), on: { hold: 1 } },
  'in-hold-release': { on: { hold: 1 } },
  'after-takeActLock': { install: after('takeActLock', isHeld), on: { severe: 2 } },
  'before-expand': { install: before('expand'), on: { expansion: 1, expansions: 2, regrown: 1 } },
  'in-expand': { install: amidEach('expand'), on: { expansion: 3, expansions: 10, regrown: 7 } },
  'after-expand': {
    install: after('expand', isAccepted),
    on: { expansion: 1, expansions: 1, regrown: 1 },
  },
  'after-undo-acting': { install: afterUndoActing, on: { undo: 3, regrown: 2 } },
  'in-undo': { on: { undo: 2, regrown: 5 } },
  'after-undo-effect': { on: { undo: 4, regrown: 1 } },
  'after-takeLocks': { install: after('takeLocks', isHeld), on: { locks: 2, lockers: 1 } },
  'before-lock-release': { install: ofLocked(before), on: { locks: 1, lockers: 4 } },
  'in-lock-release': { install: ofLocked(amid), on: { locks: 3, lockers: 2 } },
  'after-lock-release': { install: ofLocked(after), on: { locks: 2, lockers: 5 } },
  'after-confirm': { install: after('confirmDurable'), on: { severe: 2 } },
} satisfies Record<string, CrashPoint>;

/** Name a crash point. */
export type PointName = keyof typeof crashPoints;

/** Give the kills of a point, over all its shapes. */
export function killsOf(point: PointName): readonly Kill[] {
  const on: CrashPoint['on'] = crashPoints[point].on;
  return Object.entries(on).map(([shape, nth]) => ({ point, shape: shape as ShapeName, nth }));
}

/** Name a run so that crash points know its shape. */
export const runOf = (shape: ShapeName, name: string) => `${shape}-${name}`;

/** Put the points of some kills around a store. Passings are counted in a file, so that they count over all lives. */
export function withCrashPoints(
  { store, redis }: { readonly store: Store; readonly redis: Redis },
  kills: readonly Kill[],
  folder: string,
): { readonly store: Store; readonly reach: (point: PointInTask, run: string) => void } {
  const passed = (point: PointName, run: string | undefined) => {
    for (const kill of kills) {
      const isMeant = run === undefined || run.startsWith(`${kill.shape}-`);
      if (kill.point === point && isMeant && countPassing(folder, kill) >= kill.nth) die(folder, kill);
    }
  };
  const wrapped = { ...store };
  for (const point of new Set(kills.map((kill) => kill.point))) {
    const { install }: CrashPoint = crashPoints[point];
    // each wraps what the ones before it have wrapped
    Object.assign(wrapped, install?.({ store: { ...wrapped }, redis, hit: (run) => passed(point, run) }));
  }
  return { store: wrapped, reach: passed };
}

const nameOf = ({ point, shape }: Kill) => `${point}@${shape}`;

function countPassing(folder: string, kill: Kill): number {
  const file = join(folder, `passings.${nameOf(kill)}`);
  appendFileSync(file, '.');
  return readFileSync(file).length;
}

/** Kill this process as a power cut would: nothing more of it runs. */
function die(folder: string, kill: Kill): void {
  appendFileSync(join(folder, 'fired'), `${nameOf(kill)}\n`);
  process.kill(process.pid, 'SIGKILL');
}

/** Tell which kills have happened. */
export function firedKills(folder: string, kills: readonly Kill[]): readonly Kill[] {
  const file = join(folder, 'fired');
  const fired = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  return kills.filter((kill) => fired.includes(nameOf(kill)));
}

type Call = (...args: readonly unknown[]) => Promise<unknown>;
type Method = Exclude<keyof Store, 'close'>;

const callOf = (store: Store, method: Method) => store[method] as unknown as Call;

/** The run that a call is about: a name, or something that names it. */
function runIn(args: readonly unknown[]): string | undefined {
  const named = args.map((one) =>
    typeof one === 'object' && one !== null ? Reflect.get(one, 'run') : undefined,
  );
  return [args[0], ...named].find((one): one is string => typeof one === 'string');
}

function wrap(method: Method, make: (call: Call, parts: Parts) => Call) {
  return (parts: Parts): Partial<Store> => ({ [method]: make(callOf(parts.store, method), parts) });
}

function before(method: Method) {
  return wrap(method, (call, { hit }) => (...args) => {
    hit(runIn(args));
    return call(...args);
  });
}

function after(method: Method, when: (answer: unknown) => boolean = () => true) {
  return wrap(method, (call, { hit }) => async (...args) => {
    const answer = await call(...args);
    if (when(answer)) hit(runIn(args));
    return answer;
  });
}

/** Die when the command has been sent and its answer has not come: Redis may have carried it out, or not. */
function amid(method: Method) {
  return wrap(method, (call, { hit, redis }) => (...args) => {
    afterSent(redis, 1, () => hit(runIn(args)));
    return call(...args);
  });
}

/** Pass at each command that a call sends: its parts may have come to Redis, or not. */
function amidEach(method: Method) {
  return wrap(method, (call, { hit, redis }) => async (...args) => {
    const send = redis.sendCommand;
    redis.sendCommand = function sendCommand(...command) {
      const sent = send.apply(this, command);
      setImmediate(() => hit(runIn(args)));
      return sent;
    };
    try {
      return await call(...args);
    } finally {
      redis.sendCommand = send;
    }
  });
}

/** The act of a step that takes another back has been recorded as begun. */
function afterUndoActing(parts: Parts): Partial<Store> {
  return wrap('acting', (call, { hit }) => async (...args) => {
    const answer = await call(...args);
    if (args[1] !== undefined) hit(runIn(args));
    return answer;
  })(parts);
}

/** Only of steps that have taken locks of their own. */
function ofLocked(point: typeof before) {
  return (parts: Parts): Partial<Store> => {
    const locked = new Set<string>();
    const name = (held: unknown) =>
      `${Reflect.get(held as object, 'run')}|${Reflect.get(held as object, 'step')}`;
    const { complete } = point('complete')(parts);
    return {
      takeLocks: async (held, locks) => {
        locked.add(name(held));
        return parts.store.takeLocks(held, locks);
      },
      complete: (held, outcome) =>
        locked.has(name(held)) && complete ? complete(held, outcome) : parts.store.complete(held, outcome),
    };
  };
}

/** Steps with so many successors are counted down in slices. */
const firstStep = 0;

function betweenSlices(parts: Parts): Partial<Store> {
  return wrap('complete', (call, { hit, redis }) => (...args) => {
    const [held] = args as Parameters<Store['complete']>;
    // the first command ends the step and counts the first slice down; the next goes on with the second
    if (held.step === firstStep) afterSent(redis, 2, () => hit(held.run));
    return call(...args);
  })(parts);
}

/** Call when so many commands more have been handed to the socket. */
function afterSent(redis: Redis, count: number, then: () => void): void {
  const send = redis.sendCommand;
  let left = count;
  redis.sendCommand = function sendCommand(...args) {
    const sent = send.apply(this, args);
    left -= 1;
    if (left > 0) return sent;
    redis.sendCommand = send;
    // a pipeline is written as a whole after its last command
    setImmediate(then);
    return sent;
  };
}

function isGranted(answer: unknown): boolean {
  return Reflect.get(answer as object, 'kind') === 'granted';
}

function isHeld(answer: unknown): boolean {
  return Reflect.get(answer as object, 'held') === true;
}

function isAccepted(answer: unknown): boolean {
  return answer === 'accepted';
}

function isSomething(answer: unknown): boolean {
  return (answer as readonly Delivery[]).length > 0;
}
