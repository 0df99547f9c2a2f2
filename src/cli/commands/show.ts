import { formatDuration } from '../../base/duration.ts';
import type { AuditEntry, RunSnapshot, StepView } from '../../engine/store.ts';
import type { Plan, PlanStep } from '../../plan/plan.ts';
import { type AddCommand, type Context, outputOption, runArgument, withExample } from '../context.ts';
import { findRun } from '../find.ts';
import { describeGlance } from '../glance.ts';
import { describeControl, formatMoment, shortRun } from '../lines.ts';
import { table, toJson } from '../table.ts';

/**
 * Add `show`. JSON: the run's head (run, state, playbook, target, cluster, by, counts, …) with `params`, `payload`, `steps`
 * (id, task, risk, title, payload, approvers, state, and what the store knows of each), `holds` and `audit`.
 */
export const addShow: AddCommand = (program, start) => {
  const command = program
    .command('show')
    .description('show one run: every step, its state, what it waits for, what failed, what to type')
    .argument(...runArgument)
    .addOption(outputOption())
    .action((typed: string, _options: unknown, self) => start(self, (context) => show(context, typed)));
  withExample(command, 'cephflow show 7q2m', 'cephflow show @latest -o json');
};

async function show({ globals, io, wire }: Context, typed: string): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const snapshot = await store.snapshot(run);
  // after the snapshot: a run that has grown in between has more steps than states, and not the other way round
  const [plan, audit] = await Promise.all([store.plan(run), store.audit(run)]);
  const locks = snapshot.state === 'planned' ? await store.locks() : [];
  if (globals.output === 'json') {
    const { states: _states, views: _views, ...head } = snapshot;
    const { params, payload } = plan;
    io.data(toJson({ ...head, params, payload, steps: stepsAsJson(plan, snapshot), audit }));
    return 0;
  }
  io.data(describeSteps(plan, snapshot, io.dataWidth));
  io.data(audit.map((entry) => describeAct(plan, entry)).join('\n'));
  // last, because a long run pushes what stands above out of the terminal
  io.data(`\n${describeGlance(plan, snapshot, { self: wire.self, width: io.dataWidth, locks })}`);
  return 0;
}

function describeAct(plan: Plan, { atMs, act, by, reason, step }: AuditEntry): string {
  const why = reason === undefined ? '' : `: ${reason}`;
  const what = step === undefined ? '' : `  ${plan.steps[step]?.id ?? step}`;
  return `${formatMoment(atMs)}  ${describeControl(`${act} by ${by}${why}`)}${what}`;
}

function viewsByStep(snapshot: RunSnapshot): ReadonlyMap<number, StepView> {
  return new Map(snapshot.views.map((view) => [view.step, view]));
}

function stepsAsJson(plan: Plan, snapshot: RunSnapshot): unknown {
  const views = viewsByStep(snapshot);
  return plan.steps.map(({ id, kind, task, risk, title, payload, approvers }, index) => ({
    id,
    kind,
    task,
    risk,
    title,
    payload,
    approvers,
    ...views.get(index),
    step: index,
    state: snapshot.states[index],
  }));
}

function describeSteps(plan: Plan, snapshot: RunSnapshot, width: number | undefined): string {
  const views = viewsByStep(snapshot);
  const { run, createdMs, nowMs } = snapshot;
  const rows = plan.steps.flatMap((step, index) => {
    if (step.kind === 'barrier') return [];
    const view = views.get(index);
    return [[step.id, snapshot.states[index] ?? '', tookOf(view, nowMs), whatOf(step, view)]];
  });
  const titles = ['STEP', 'STATE', 'TOOK', 'WHAT IT DOES, OR WAITS FOR'];
  const lines = [
    `run ${shortRun(run)} (${run})  started ${formatMoment(createdMs)}`,
    '',
    table(titles, rows, { width, long: 'shortened' }),
    '',
  ];
  return lines.join('\n');
}

function whatOf({ title, approvers }: PlanStep, view: StepView | undefined): string {
  const what = view?.waiting?.reason ?? title;
  return approvers === undefined ? what : `${what} (for ${approvers.join(' or ')} to decide)`;
}

function tookOf(view: StepView | undefined, nowMs: number): string {
  return view?.begunMs === undefined ? '' : formatDuration((view.endedMs ?? nowMs) - view.begunMs);
}
