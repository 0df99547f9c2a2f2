import { formatDuration } from '../base/duration.ts';
import type { LockView, RunSnapshot } from '../engine/store.ts';
import type { Plan } from '../plan/plan.ts';
import { isEndedRun, type RunState } from '../run/states.ts';
import { describeFailures, describeQuestions, type Telling } from './failures.ts';
import { describeLockWaits } from './held-locks.ts';
import { describeLeftBehind } from './left-behind.ts';
import { formatMoment, shortRun } from './lines.ts';
import { countDone, describeFar, describeWait, isTakenBack, waitingSteps } from './progress.ts';
import { wrapSentence } from './text.ts';

/** Waits and works named at a glance; the table has them all. */
const mostNamed = 5;

/** Say how texts are written. `locks`: all that are held or waited for; needed of a run that waits for its own. */
export interface GlanceTelling extends Telling {
  readonly locks?: readonly LockView[];
}

/** Say in a few lines how a run is: its state and how far it is, what it waits for and since when, and what can be typed. */
export function describeGlance(
  plan: Plan,
  snapshot: RunSnapshot,
  { self, width, locks = [] }: GlanceTelling,
): string {
  const isOver = isEndedRun(snapshot.state);
  const isWell = snapshot.state === 'running' || snapshot.state === 'succeeded';
  const parts = [
    headLine(plan, snapshot),
    ...describeLockWaits(snapshot, locks).map((lock) => `  waits for lock ${lock}`),
    ...(isOver ? [] : [...works(plan, snapshot), ...waits(plan, snapshot)]),
  ].map((line) => wrapSentence(line, width, '    '));
  const rest = [
    isWell ? '' : describeLeftBehind(plan, snapshot, width),
    describeFailures(plan, snapshot, { self, width }),
    describeQuestions(plan, snapshot, { self, width }),
    isOver || snapshot.state === 'failed' ? '' : whatToType(plan, snapshot, self),
  ];
  return [...parts, ...rest.filter((text) => text !== '')].join('\n');
}

function headLine(plan: Plan, snapshot: RunSnapshot): string {
  const { run, playbook, target, cluster, state, states, counts, createdMs, endedMs, nowMs } = snapshot;
  const what = `${playbook}${target === '' ? '' : ` ${target}`} on cluster ${cluster}`;
  const when =
    endedMs === undefined
      ? `for ${formatDuration(nowMs - createdMs)}`
      : `in ${formatDuration(endedMs - createdMs)}, ended ${formatMoment(endedMs)}`;
  const skipped = counts.skipped ? ` (${counts.skipped} skipped)` : '';
  const far = isTakenBack(plan)
    ? describeFar(plan, states)
    : `${countDone(plan, states)} steps done${skipped}`;
  return `run ${shortRun(run)}  ${what}: ${state.toUpperCase()} ${when}, ${far}`;
}

function works(plan: Plan, { state, views, counts, nowMs }: RunSnapshot): readonly string[] {
  const running = views.filter((view) => view.state === 'running');
  const lines = running.slice(0, mostNamed).map(({ step, begunMs, worker }) => {
    const since = begunMs === undefined ? '' : ` for ${formatDuration(nowMs - begunMs)}`;
    return `  works${since} on ${nameOf(plan, step)}${worker === undefined ? '' : ` (${worker})`}`;
  });
  const more = running.length > mostNamed ? [`  and on ${running.length - mostNamed} more`] : [];
  const isUntaken = counts.ready && running.length === 0 && !isHalted(state);
  return [...lines, ...more, ...(isUntaken ? [`  ${counts.ready} steps are ready for a worker`] : [])];
}

function waits(plan: Plan, { views, nowMs }: RunSnapshot): readonly string[] {
  const all = waitingSteps(views);
  const lines = all.slice(0, mostNamed).map(({ step, waiting }) => {
    const since = formatDuration(nowMs - waiting.sinceMs);
    return `  waits for ${since}, ${nameOf(plan, step)}: ${describeWait(waiting, nowMs)}`;
  });
  return all.length > mostNamed ? [...lines, `  and ${all.length - mostNamed} more steps wait`] : lines;
}

/** Tell whether a run begins nothing new just now, so that what is ready is taken by nobody. */
export function isHalted(state: RunState): boolean {
  return state === 'paused' || state === 'planned';
}

const nameOf = (plan: Plan, step: number) => plan.steps[step]?.id ?? String(step);

function whatToType(plan: Plan, { run, state, views }: RunSnapshot, self: string): string {
  const short = shortRun(run);
  const [waiting] = waitingSteps(views).filter(({ waiting: { question } }) => question === undefined);
  const lines = [`follow it:    ${self} watch ${short}`];
  if (state === 'paused') lines.unshift(`go on:        ${self} resume ${short}`);
  if (state === 'planned') lines.push(`who has what: ${self} lock ls`);
  if (waiting) {
    const id = nameOf(plan, waiting.step);
    lines.push(`ask at once:  ${self} retry ${short} --step ${id}`);
    lines.push(`leave it out: ${self} skip ${short} --step ${id} --confirm ${id} --reason "…"`);
  }
  if (state !== 'aborting') lines.push(`give up:      ${self} abort ${short} --reason "…"`);
  return lines.map((line) => `  ${line}`).join('\n');
}
