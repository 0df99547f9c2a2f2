import type { ActSeen, RunRecord } from './checker.ts';
import { allBefore, isSevere } from './checker-plan.ts';

/** Whatever stops or destroys in one cluster is never under way with another such act. */
export function findSevereOverlaps(
  records: readonly RunRecord[],
  all: readonly ActSeen[],
): readonly string[] {
  const severe = records.flatMap(({ run, plan }) =>
    plan.steps.filter(isSevere).flatMap(({ id }) => all.filter((act) => act.run === run && act.step === id)),
  );
  const inOrder = severe.toSorted((a, b) => a.beganAt - b.beganAt);
  return inOrder.flatMap((act, place) => {
    const next = inOrder[place + 1];
    if (!next || next.beganAt > act.last) return [];
    return [
      `${next.run}: ${next.step} acted while ${act.step} of ${act.run} was under way in the same cluster`,
    ];
  });
}

/** From the first act of a step to the last line of its last: so long it holds its locks, whoever carries it out. */
interface Held {
  readonly lock: string;
  readonly capacity: number;
  readonly run: string;
  readonly step: string;
  readonly from: number;
  readonly to: number;
}

/** A lock never has more holders that act, over all runs, than it allows. */
export function findLockCrowds(records: readonly RunRecord[], all: readonly ActSeen[]): readonly string[] {
  const held = records.flatMap(({ run, plan }) =>
    plan.steps.flatMap(({ id, locks = [] }) => locks.flatMap((lock) => heldBy(all, { run, step: id }, lock))),
  );
  return held.flatMap((one) => {
    const beside = held.filter(
      ({ lock, from, to }) => lock === one.lock && from <= one.from && one.from < to,
    );
    if (beside.length <= one.capacity) return [];
    const names = beside.map(({ run, step }) => `${step} of ${run}`).join(', ');
    return [`${one.lock} was held by ${names}, and it allows ${one.capacity}`];
  });
}

function heldBy(
  all: readonly ActSeen[],
  { run, step }: Pick<Held, 'run' | 'step'>,
  { name, capacity }: { readonly name: string; readonly capacity: number },
): readonly Held[] {
  const own = all.filter((act) => act.run === run && act.step === step);
  const [first] = own;
  if (!first) return [];
  const to = Math.max(...own.map(({ last }) => last));
  return [{ lock: name, capacity, run, step, from: first.beganAt, to }];
}

/** In a run that was taken back: all that had its effect is taken back after its last act, the last first. */
export function* findNotUndone(record: RunRecord, own: readonly ActSeen[]): Generator<string> {
  const { plan, events } = record;
  const isUndone = events.some(({ kind, state }) => kind === 'run-state-changed' && state === 'undone');
  for (const [index, { id, kind, part }] of isUndone ? plan.steps.entries() : []) {
    const done = lastEffect(own, id);
    if (kind === 'task' && part === 'main' && done) yield* findBadUndo(record, own, { index, id, done });
  }
}

interface DoneStep {
  readonly index: number;
  readonly id: string;
  readonly done: ActSeen;
}

function* findBadUndo(
  { plan, events }: RunRecord,
  own: readonly ActSeen[],
  { index, id, done }: DoneStep,
): Generator<string> {
  const undoOf = (other: number) => plan.steps.find(({ undoes }) => undoes === other)?.id;
  const states = events.filter((event) => event.step === index && event.kind === 'step-state-changed');
  if (states.at(-1)?.state !== 'undone') yield `${id} has acted and is recorded as ${states.at(-1)?.state}`;
  const undone = lastEffect(own, undoOf(index));
  if (!undone) return yield `${id} has acted and was not taken back`;
  const first = own.find((act) => act.step === undone.step) ?? undone;
  if (first.beganAt < done.last) yield `${id} was taken back while it was being acted on`;
  for (const before of allBefore(plan, index)) {
    const earlier = own.find((act) => act.step === undoOf(before));
    if (earlier && earlier.beganAt < (undone.effectAt ?? 0))
      yield `${plan.steps[before]?.id} was taken back before ${id}, which follows it`;
  }
}

const lastEffect = (own: readonly ActSeen[], id: string | undefined) =>
  own.findLast((act) => act.step === id && act.effectAt !== undefined);
