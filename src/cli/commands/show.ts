import { formatDuration } from '../../base/duration.ts';
import type { AuditEntry, RunSnapshot, StepView } from '../../engine/store.ts';
import type { Plan } from '../../plan/plan.ts';
import { type AddCommand, type Context, outputOption } from '../context.ts';
import { describeFailures, describeQuestions } from '../failures.ts';
import { findRun } from '../find.ts';
import { formatMoment, shortRun } from '../lines.ts';
import { table, toJson } from '../table.ts';

/**
 * Add `show`. JSON: the run's head (run, state, playbook, target, cluster, by, counts, …) with `params`, `steps` (id,
 * task, risk, title, state, and what the store knows of each), `holds` and `audit`.
 */
export const addShow: AddCommand = (program, start) => {
  program
    .command('show')
    .description('show one run: its state, every step, what it waits for, what failed')
    .argument('<run>', 'id of a run, a unique beginning or end of it, or @latest')
    .addOption(outputOption())
    .action((typed: string, _options: unknown, command) => start(command, (context) => show(context, typed)));
};

async function show({ globals, io, wire }: Context, typed: string): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const [plan, snapshot, audit] = await Promise.all([store.plan(run), store.snapshot(run), store.audit(run)]);
  if (globals.output === 'json') {
    const { states: _states, views: _views, ...head } = snapshot;
    io.data(toJson({ ...head, params: plan.params, steps: stepsAsJson(plan, snapshot), audit }));
    return 0;
  }
  io.data(describeRun(plan, snapshot));
  io.data(audit.map(describeAct).join('\n'));
  for (const describe of [describeFailures, describeQuestions]) {
    const text = describe(plan, snapshot, wire.self);
    if (text !== '') io.data(`\n${text}`);
  }
  return 0;
}

function describeAct({ atMs, act, by, reason }: AuditEntry): string {
  return `${formatMoment(atMs)}  ${act} by ${by}${reason === undefined ? '' : `: ${reason}`}`;
}

function viewsByStep(snapshot: RunSnapshot): ReadonlyMap<number, StepView> {
  return new Map(snapshot.views.map((view) => [view.step, view]));
}

function stepsAsJson(plan: Plan, snapshot: RunSnapshot): unknown {
  const views = viewsByStep(snapshot);
  return plan.steps.map(({ id, kind, task, risk, title }, index) => ({
    id,
    kind,
    task,
    risk,
    title,
    ...views.get(index),
    step: index,
    state: snapshot.states[index],
  }));
}

function describeRun(plan: Plan, snapshot: RunSnapshot): string {
  const views = viewsByStep(snapshot);
  const { run, playbook, target, cluster, by, state, createdMs, endedMs, nowMs } = snapshot;
  const rows = plan.steps.flatMap((step, index) => {
    if (step.kind === 'barrier') return [];
    const view = views.get(index);
    return [
      [step.id, snapshot.states[index] ?? '', tookOf(view, nowMs), view?.waiting?.reason ?? step.title],
    ];
  });
  const lines = [
    `run ${shortRun(run)} (${run})  ${playbook}${target === '' ? '' : ` ${target}`} on cluster ${cluster}`,
    `state ${state}  started ${formatMoment(createdMs)} by ${by}  took ${formatDuration((endedMs ?? nowMs) - createdMs)}`,
    '',
    table(['STEP', 'STATE', 'TOOK', 'WHAT IT DOES, OR WAITS FOR'], rows),
    '',
  ];
  return lines.join('\n');
}

function tookOf(view: StepView | undefined, nowMs: number): string {
  return view?.begunMs === undefined ? '' : formatDuration((view.endedMs ?? nowMs) - view.begunMs);
}
