import type { AuditEntry, Store } from '../../../src/engine/store.ts';
import type { Plan, PlanStep } from '../../../src/plan/plan.ts';
import type { RunEvent } from '../../../src/run/events.ts';
import { actingBefore, acts, beforeOf, type GroupFacts, groupsOf, isSevere } from './checker-plan.ts';
import { findLockCrowds, findNotUndone, findSevereOverlaps } from './checker-shared.ts';
import type { WorldLine } from './world.ts';

/** Hold all that is known of a run when it is over: what was planned, what the engine says, what people did. */
export interface RunRecord {
  readonly run: string;
  readonly plan: Plan;
  readonly events: readonly RunEvent[];
  readonly audit: readonly AuditEntry[];
}

/** Say what a scenario may do that another must not. */
export interface CheckOptions {
  /** Redis has lost its last records: what was recorded first may be lost, so only the world tells the order. */
  readonly hasLostTail?: boolean;
  /** Processes that were stopped past their lease: what they do afterwards may overlap with their successor's act. */
  readonly stoppedPids?: readonly number[];
}

/** Tell what is wrong, one sentence each, and what happened. */
export interface Report {
  readonly faults: readonly string[];
  readonly runs: number;
  readonly acts: number;
  /** Acts begun again on a step whose act had taken effect. */
  readonly repeats: number;
}

/**
 * Check runs that are over against what the world has seen. Knows nothing of the engine: only plans, events and lines.
 */
export function checkRuns(
  records: readonly RunRecord[],
  lines: readonly WorldLine[],
  options: CheckOptions = {},
): Report {
  const seen = actsOf(lines);
  const reports = records.map((record) => {
    const own = seen.filter(({ run }) => run === record.run);
    const facts = { record, acts: own, options, done: doneTimes(record) };
    return {
      faults: [
        ...findUnended(facts),
        ...findDisorder(facts),
        ...findOvertaking(facts),
        ...findNotActed(facts),
        ...findOverlaps(facts),
        ...findRepeats(facts),
        ...findCrowds(facts),
        ...findHeld(facts),
        ...findNotUndone(record, own),
      ].map((fault) => `${record.run}: ${fault}`),
      acts: own.length,
      repeats: repeatsOf(own),
    };
  });
  return {
    faults: [
      ...reports.flatMap(({ faults }) => faults),
      ...findSevereOverlaps(records, seen),
      ...findLockCrowds(records, seen),
    ],
    runs: records.length,
    acts: sum(reports.map((one) => one.acts)),
    repeats: sum(reports.map((one) => one.repeats)),
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);

/** Be one carrying-out of a step. Places are line numbers of the world's log; `last` is the place of its last line. */
export interface ActSeen {
  readonly run: string;
  readonly step: string;
  readonly pid: number;
  readonly beganAt: number;
  readonly beganMs: number;
  effectAt?: number;
  last: number;
}

function actsOf(lines: readonly WorldLine[]): readonly ActSeen[] {
  const acts = new Map<string, ActSeen>();
  for (const [at, { run, step, act, pid, phase, atMs }] of lines.entries()) {
    const seen = acts.get(act) ?? { run, step, pid, beganAt: at, beganMs: atMs, last: at };
    acts.set(act, seen);
    seen.last = at;
    if (phase === 'effect') seen.effectAt = at;
  }
  return [...acts.values()];
}

interface Facts {
  readonly record: RunRecord;
  readonly acts: readonly ActSeen[];
  readonly options: CheckOptions;
  readonly done: ReadonlyMap<number, Done>;
}

/** When a step was recorded as done for the first time: its place among the events, and the time. */
interface Done {
  readonly place: number;
  readonly atMs: number;
}

const terminal: readonly unknown[] = ['succeeded', 'skipped', 'cancelled', 'failed'];
const well: readonly unknown[] = ['succeeded', 'skipped'];
const ended: readonly unknown[] = ['succeeded', 'aborted', 'left-over', 'undone'];
/** What was done and was taken back has ended before that. */
const over: readonly unknown[] = [...terminal, 'undone'];

const isStep = ({ kind, step }: RunEvent, index: number) => kind === 'step-state-changed' && step === index;

/** A finally step that failed stops nothing. */
const counts = (step: PlanStep, state: unknown) =>
  (step.part === 'finally' ? terminal : well).includes(state);

function doneTimes({ plan, events }: RunRecord): ReadonlyMap<number, Done> {
  const found = new Map<number, Done>();
  for (const [place, { kind, step = -1, state, atMs }] of events.entries()) {
    const planned = plan.steps[step];
    if (kind !== 'step-state-changed' || !planned || found.has(step)) continue;
    if (counts(planned, state)) found.set(step, { place, atMs });
  }
  return found;
}

/** Every step is recorded as ended exactly once, and so is the run. A person's retry allows once more. */
function* findUnended({ record: { plan, events, audit } }: Facts): Generator<string> {
  for (const [index, { id }] of plan.steps.entries()) {
    const states = events.filter((event) => isStep(event, index)).map(({ state }) => state);
    const times = states.filter((state) => terminal.includes(state)).length;
    const retries = audit.filter(
      ({ act, step }) => act.startsWith('retry') && (step ?? index) === index,
    ).length;
    if (!over.includes(states.at(-1))) yield `${id} has not ended: its last state is ${states.at(-1)}`;
    else if (times > 1 + retries) yield `${id} was recorded as ended ${times} times`;
  }
  const ends = events.filter(
    ({ kind, state }) => kind === 'run-state-changed' && ended.includes(state),
  ).length;
  if (ends !== 1) yield `the run was recorded as ended ${ends} times`;
}

const isBegun: readonly unknown[] = ['running', 'ready', 'succeeded'];

/** No step is ready, running or done in the records before all that it comes after. */
function* findDisorder({ record: { plan, events }, done }: Facts): Generator<string> {
  for (const [index, step] of plan.steps.entries()) {
    const begun = events.findIndex((event) => isStep(event, index) && isBegun.includes(event.state));
    if (begun < 0) continue;
    for (const other of beforeOf(plan, index)) {
      const place = done.get(other)?.place ?? Number.POSITIVE_INFINITY;
      const isEndedOtherwise = step.part === 'finally' && place > begun && hasEnded(events, other, begun);
      if (place > begun && !isEndedOtherwise)
        yield `${step.id} was begun before ${plan.steps[other]?.id} was recorded as done`;
    }
  }
}

/** Finally steps also follow what failed or was cancelled. */
const hasEnded = (events: readonly RunEvent[], index: number, place: number) =>
  events.slice(0, place).some((event) => isStep(event, index) && terminal.includes(event.state));

/** No act begins before all that its step comes after has had its effect and, unless records were lost, is recorded. */
function* findOvertaking(facts: Facts): Generator<string> {
  const { record, acts: own, options } = facts;
  for (const [index, step] of record.plan.steps.entries()) {
    const first = own.find((act) => act.step === step.id);
    if (!first) continue;
    yield* findMissingEffects(facts, index, first);
    if (!options.hasLostTail) yield* findMissingRecords(facts, index, first);
  }
}

function* findMissingEffects(
  { record: { plan, events }, acts: own, options }: Facts,
  index: number,
  first: ActSeen,
): Generator<string> {
  for (const other of actingBefore(plan, index)) {
    const { id = '' } = plan.steps[other] ?? {};
    const isDone = own.some((act) => act.step === id && (act.effectAt ?? first.beganAt) < first.beganAt);
    if (!isDone && wasDone(events, other)) yield `${first.step} acted before ${id} had its effect`;
    else if (!options.hasLostTail && own.some((act) => act.step === id && isDuring(first, act, options)))
      yield `${first.step} acted while ${id} was still being acted on`;
  }
}

const isDuring = (act: ActSeen, other: ActSeen, { stoppedPids = [] }: CheckOptions) =>
  other.beganAt < act.beganAt && act.beganAt < other.last && !stoppedPids.includes(other.pid);

function* findMissingRecords(
  { record: { plan }, done }: Facts,
  index: number,
  first: ActSeen,
): Generator<string> {
  for (const other of beforeOf(plan, index)) {
    const recorded = done.get(other);
    if (recorded && recorded.atMs > first.beganMs)
      yield `${first.step} acted before ${plan.steps[other]?.id} was recorded as done`;
  }
}

const wasDone = (events: readonly RunEvent[], index: number) =>
  events.some((event) => isStep(event, index) && event.state === 'succeeded');

/** A step that succeeded and acts has had its effect at least once. */
function* findNotActed({ record: { plan, events }, acts: own }: Facts): Generator<string> {
  for (const [index, step] of plan.steps.entries()) {
    if (!acts(step) || !wasDone(events, index)) continue;
    if (!own.some((act) => act.step === step.id && act.effectAt !== undefined))
      yield `${step.id} is recorded as done and has not acted`;
  }
}

/** Two carryings-out of one step never overlap. One that was killed ends with its last line. */
function* findOverlaps({ acts: own, options: { stoppedPids = [] } }: Facts): Generator<string> {
  for (const [place, first] of own.entries()) {
    for (const second of own.slice(place + 1)) {
      const isSame = first.step === second.step && second.beganAt < first.last;
      if (isSame && !stoppedPids.includes(first.pid))
        yield `${first.step} was acted on by ${second.pid} while ${first.pid} was at it`;
    }
  }
}

function repeatsOf(own: readonly ActSeen[]): number {
  return own.filter((act) =>
    own.some(
      (first) => first.step === act.step && (first.effectAt ?? Number.POSITIVE_INFINITY) < act.beganAt,
    ),
  ).length;
}

/** What destroys or stops has its effect once, and is begun once more only after a person said so. */
function* findRepeats({ record: { plan, audit }, acts: own }: Facts): Generator<string> {
  for (const [index, step] of plan.steps.entries()) {
    if (!isSevere(step)) continue;
    const tries = own.filter((act) => act.step === step.id);
    const effects = tries.filter(({ effectAt }) => effectAt !== undefined).length;
    if (effects > 1) yield `${step.id} (${step.risk}) had its effect ${effects} times`;
    for (const [place, { beganMs }] of tries.entries()) {
      const previousMs = tries[place - 1]?.beganMs;
      if (previousMs === undefined) continue;
      const isAllowed = audit.some(
        (entry) => entry.step === index && entry.atMs >= previousMs && entry.atMs <= beganMs,
      );
      if (!isAllowed) yield `${step.id} (${step.risk}) was begun again, and nobody had said so`;
    }
  }
}

/** Members of a group that are begun and not finished are never more than it allows. */
function* findCrowds({ record }: Facts): Generator<string> {
  for (const [group, facts] of groupsOf(record.plan).entries()) {
    if (!facts) continue;
    const { id, maxParallel } = facts;
    const most = mostBegun(record, group, facts);
    if (most > maxParallel) yield `${most} members of ${id} were begun, and it allows ${maxParallel}`;
  }
}

function mostBegun({ plan, events }: RunRecord, group: number, { sizeOf }: GroupFacts): number {
  /** Steps that are left, of the members that were begun. */
  const left = new Map<number, number>();
  let most = 0;
  for (const { kind, step = -1, state } of events) {
    const place = plan.steps[step]?.places.find((one) => one.group === group);
    if (kind !== 'step-state-changed' || !place) continue;
    const now = left.get(place.member) ?? (state === 'running' ? sizeOf(place.member) : undefined);
    if (now !== undefined) left.set(place.member, terminal.includes(state) ? now - 1 : now);
    most = Math.max(most, [...left.values()].filter((count) => count > 0).length);
  }
  return most;
}

/** What was taken for a while was given back, after it was taken last. */
function* findHeld({ record: { plan }, acts: own }: Facts): Generator<string> {
  for (const { kind, releases = -1 } of plan.steps) {
    const id = kind === 'release' ? plan.steps[releases]?.id : undefined;
    const taken = own.findLast((act) => act.step === id && act.effectAt !== undefined);
    const given = own.findLast((act) => act.step === `${id}!release` && act.effectAt !== undefined);
    if (taken && (given?.effectAt ?? -1) < (taken.effectAt ?? 0)) yield `${id} is still held`;
  }
}

/** Events read at once. */
const pageSize = 1000;

/** Read all that a store knows of a run. */
export async function readRecord(store: Store, run: string): Promise<RunRecord> {
  const events: RunEvent[] = [];
  for (let last = '0'; ; ) {
    const page = await store.events(run, last, { limit: pageSize });
    events.push(...page);
    if (page.length === 0) break;
    last = page.at(-1)?.seq ?? last;
  }
  return { run, plan: await store.plan(run), events, audit: await store.audit(run) };
}

/** Say in a line what a scenario brought. */
export function tell(title: string, { runs, acts: count, repeats }: Report, more = ''): void {
  process.stdout.write(`chaos: ${title}: ${runs} runs, ${count} acts, ${repeats} acts repeated${more}\n`);
}
