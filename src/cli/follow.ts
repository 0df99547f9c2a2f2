import type { RunSnapshot, Store } from '../engine/store.ts';
import type { RunEvent } from '../run/events.ts';
import { isEndedRun } from '../run/states.ts';
import type { Context } from './context.ts';
import { type GrowingPlan, growingPlan, stepsIn } from './growing-plan.ts';
import { shortRun, tellFailures } from './lines.ts';
import type { Wire } from './parts.ts';
import { createTeller, type Told } from './teller.ts';

/** Events read in one go: a page that is written in a moment. */
const pageSize = 500;
/** How long one question for new events waits; also how late a signal that Redis keeps from us is seen. */
const waitMs = 2000;
/** A line at least so often, so that silence never means that the follower is dead. */
const heartbeatMs = 300_000;
/** How often the embedded agent is looked after while somebody follows. */
const reviveMs = 10_000;
/** So long after the last event a follower looks whether anybody works at all: a worker takes a step in a second. */
const stillMs = 15_000;

/**
 * Follow a run line by line until it is over or failed; waits for a person are followed through.
 * ^C, a lost terminal and SIGTERM end the following, never the run.
 * @param options `fromStart`: tell everything since the run began; else only what is new, after one summary line
 * @returns exit code: 0 succeeded, 1 failed or left-over, 3 rejected by a person, 6 aborted or undone, 130, 129 or 143 detached
 */
export async function follow(
  context: Context,
  run: string,
  options: { readonly fromStart: boolean },
): Promise<number> {
  const { io, wire } = context;
  const store = await wire.store();
  const plan = await growingPlan(store, run);
  const leave = watchSignals();
  try {
    const outcome = await followUntilEnd({ context, store, plan, run }, options.fromStart, leave.signal);
    if (outcome !== undefined) return outcome;
    if (leave.exitCode() === signalCodes.SIGINT && io.sayWidth !== undefined) io.warn('');
    io.warn(`run ${shortRun(run)} goes on without you; come back with: ${wire.self} watch ${shortRun(run)}`);
    return leave.exitCode();
  } finally {
    leave.stop();
  }
}

interface Followed extends Omit<Told, 'plan'> {
  readonly plan: GrowingPlan;
  readonly store: Store;
}

async function followUntilEnd(
  followed: Followed,
  fromStart: boolean,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { context, store, plan, run } = followed;
  let snapshot = await store.snapshot(run);
  let seq = fromStart ? '0' : snapshot.lastSeq;
  await plan.reach(snapshot.states.length);
  const teller = createTeller({ context, plan: plan.now, run }, fromStart ? [] : snapshot.states);
  const rhythm = createRhythm(context.wire);
  if (!fromStart) teller.heartbeat(snapshot);
  // ends with the run, with its failure or with the follower's own end: a run may wait for days
  while (!signal.aborted) {
    await tellStanding(teller, store, snapshot);
    // the end is believed only with all that was told before it: else last lines would be lost
    if (isAtEnd(snapshot) && seq === snapshot.lastSeq) return teller.end(snapshot);
    await rhythm.revive();
    const events = await store.events(run, seq, { limit: pageSize, waitMs, signal });
    const beat = rhythm.beat(events.length > 0);
    if (beat !== undefined || isAtEnd(snapshot) || events.some(mayMatter))
      snapshot = await store.snapshot(run);
    await plan.reach(Math.max(snapshot.states.length, stepsIn(events)));
    for (const event of tellFailures(events, snapshot)) teller.event(event, snapshot);
    seq = events.at(-1)?.seq ?? seq;
    if (beat !== undefined) teller[beat](snapshot);
  }
  return undefined;
}

/** Tell what keeps a run from going on, where that is news. */
async function tellStanding(
  teller: ReturnType<typeof createTeller>,
  store: Store,
  snapshot: RunSnapshot,
): Promise<void> {
  teller.questions(snapshot);
  teller.halt(snapshot, snapshot.state === 'planned' ? await store.locks() : []);
}

const isAtEnd = ({ state }: RunSnapshot) => isEndedRun(state) || state === 'failed';

const mayMatter = ({ kind, state }: RunEvent) =>
  kind === 'run-state-changed' || kind === 'step-waits' || state === 'failed';

/** Keep time for a follower: when to look after the agent, when to show that it is still there. */
function createRhythm(wire: Wire) {
  let [heardMs, toldMs, revivedMs] = [wire.nowMs(), wire.nowMs(), 0];
  let wasStill = false;
  return {
    async revive(): Promise<void> {
      if (wire.nowMs() - revivedMs < reviveMs) return;
      await wire.keepGoing();
      revivedMs = wire.nowMs();
    },
    /** Say what is to be told where there are no events: that all goes on, or (once) that nobody works. */
    beat(isTold: boolean): 'heartbeat' | 'untaken' | undefined {
      const nowMs = wire.nowMs();
      if (isTold) [heardMs, toldMs, wasStill] = [nowMs, nowMs, false];
      if (nowMs - toldMs > heartbeatMs) {
        toldMs = nowMs;
        return 'heartbeat';
      }
      if (wasStill || nowMs - heardMs < stillMs) return undefined;
      wasStill = true;
      return 'untaken';
    },
  };
}

const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

function watchSignals() {
  const controller = new AbortController();
  let code: number = signalCodes.SIGINT;
  const handlers = Object.entries(signalCodes).map(([name, exitCode]) => {
    const handler = () => {
      code = exitCode;
      controller.abort();
    };
    process.on(name, handler);
    return { name, handler };
  });
  return {
    signal: controller.signal,
    exitCode: () => code,
    stop: () => {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}
