import { errorCodes } from '../base/errors.ts';
import type { RunSnapshot, Store } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunEvent } from '../run/events.ts';
import { isEndedRun, type RunState } from '../run/states.ts';
import type { Context } from './context.ts';
import { describeFailures, describeQuestions } from './failures.ts';
import { courseLine, eventLine, heartbeatLine, shortRun, tellFailures } from './lines.ts';
import { createNoiseFilter } from './noise.ts';
import type { Wire } from './parts.ts';

/** Events read in one go: a page that is written in a moment. */
const pageSize = 500;
/** How long one question for new events waits; also how late a signal that Redis keeps from us is seen. */
const waitMs = 2000;
/** A line at least so often, so that silence never means that the follower is dead. */
const heartbeatMs = 300_000;
/** Waits told again with a heartbeat: the longest ones; `show` has them all. */
const waitsAtHeartbeat = 5;
/** How often the embedded agent is looked after while somebody follows. */
const reviveMs = 10_000;

const endCodes: Readonly<Partial<Record<RunState, number>>> = {
  succeeded: 0,
  failed: 1,
  'left-over': 1,
  aborted: 6,
};

/**
 * Follow a run line by line until it is over or failed; waits for a person are followed through.
 * ^C, a lost terminal and SIGTERM end the following, never the run.
 * @param options `fromStart`: tell everything since the run began; else only what is new, after one summary line
 * @returns exit code: 0 succeeded, 1 failed or left-over, 3 rejected by a person, 6 aborted, 130, 129 or 143 detached
 */
export async function follow(
  context: Context,
  run: string,
  options: { readonly fromStart: boolean },
): Promise<number> {
  const { io, wire } = context;
  const store = await wire.store();
  const plan = await store.plan(run);
  const leave = watchSignals();
  try {
    const outcome = await followUntilEnd({ context, store, plan, run }, options.fromStart, leave.signal);
    if (outcome !== undefined) return outcome;
    io.warn(`run ${shortRun(run)} goes on without you; come back with: ${wire.self} watch ${shortRun(run)}`);
    return leave.exitCode();
  } finally {
    leave.stop();
  }
}

interface Followed {
  readonly context: Context;
  readonly store: Store;
  readonly plan: Plan;
  readonly run: string;
}

async function followUntilEnd(
  followed: Followed,
  fromStart: boolean,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { context, store, run } = followed;
  const teller = createTeller(followed);
  const rhythm = createRhythm(context.wire);
  let snapshot = await store.snapshot(run);
  let seq = fromStart ? '0' : snapshot.lastSeq;
  if (!fromStart) teller.heartbeat(snapshot);
  // ends with the run, with its failure or with the follower's own end: a run may wait for days
  while (!signal.aborted) {
    teller.questions(snapshot);
    // the end is believed only with all that was told before it: else last lines would be lost
    if (isAtEnd(snapshot) && seq === snapshot.lastSeq) return teller.end(snapshot);
    await rhythm.revive();
    const events = await store.events(run, seq, { limit: pageSize, waitMs, signal });
    const isHeartbeat = rhythm.isHeartbeat(events.length > 0);
    if (isHeartbeat || isAtEnd(snapshot) || events.some(mayMatter)) snapshot = await store.snapshot(run);
    for (const event of tellFailures(events, snapshot)) teller.event(event);
    seq = events.at(-1)?.seq ?? seq;
    if (isHeartbeat) teller.heartbeat(snapshot);
  }
  return undefined;
}

const isAtEnd = ({ state }: RunSnapshot) => isEndedRun(state) || state === 'failed';

const mayMatter = ({ kind, state }: RunEvent) =>
  kind === 'run-state-changed' || kind === 'step-waits' || state === 'failed';

/** Keep time for a follower: when to look after the agent, when to show that it is still there. */
function createRhythm(wire: Wire) {
  let toldMs = wire.nowMs();
  let revivedMs = 0;
  return {
    async revive(): Promise<void> {
      if (wire.nowMs() - revivedMs < reviveMs) return;
      await wire.keepGoing();
      revivedMs = wire.nowMs();
    },
    isHeartbeat(isTold: boolean): boolean {
      const isDue = wire.nowMs() - toldMs > heartbeatMs;
      if (isTold || isDue) toldMs = wire.nowMs();
      return isDue && !isTold;
    },
  };
}

function createTeller({ context, plan, run }: Followed) {
  const { io, wire, globals } = context;
  const isJson = globals.output === 'json';
  const noise = createNoiseFilter();
  const asked = new Set<string>();
  return {
    event(event: RunEvent): void {
      if (isJson) {
        const step = event.step === undefined ? undefined : plan.steps[event.step]?.id;
        io.data(JSON.stringify({ run, ...event, step }));
        return;
      }
      const line = noise.isNews(event) ? eventLine(run, plan, event) : undefined;
      if (line !== undefined && !globals.quiet) io.data(line);
    },
    heartbeat(snapshot: RunSnapshot): void {
      if (isJson || globals.quiet) return;
      io.data(heartbeatLine(snapshot));
      const waits = snapshot.views
        .flatMap(({ step, waiting }) => (waiting ? [{ step, waiting }] : []))
        .sort((a, b) => a.waiting.sinceMs - b.waiting.sinceMs);
      for (const { step, waiting } of waits.slice(0, waitsAtHeartbeat)) {
        const id = plan.steps[step]?.id ?? '-';
        io.data(courseLine({ atMs: snapshot.nowMs, run }, id, 'waiting', waiting.reason));
      }
    },
    questions(snapshot: RunSnapshot): void {
      const isNew = (view: RunSnapshot['views'][number]) => {
        const key = `${view.step} ${view.attempt} ${view.waiting?.question}`;
        const isFirst = view.waiting?.question !== undefined && !asked.has(key);
        asked.add(key);
        return isFirst;
      };
      const text = describeQuestions(plan, { ...snapshot, views: snapshot.views.filter(isNew) }, wire.self);
      if (text !== '') io.warn(text);
    },
    end(snapshot: RunSnapshot): number {
      const failures = describeFailures(plan, snapshot, wire.self);
      if (failures !== '') io.warn(failures);
      const word = `run ${shortRun(run)} ${snapshot.state}`;
      if (failures === '') io.say(word);
      const failed = snapshot.views.filter((view) => view.state === 'failed');
      const isRejected = failed.length > 0 && failed.every((view) => view.error?.code === 'REJECTED');
      return isRejected ? errorCodes.REJECTED.exit : (endCodes[snapshot.state] ?? 1);
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
