import type { Plan, PlanStep } from '../plan/plan.ts';
import { type Outlook, type Risk, risks } from '../task/task.ts';
import { table } from './table.ts';
import { wrapSentence } from './text.ts';

/**
 * Write what a plan will do, step by step, for people. Barriers are left out: they do nothing.
 * `outlook`: reasons against it and what it will bring, found on the untouched cluster. `width`: columns of the
 * terminal, where there is one: each step is one line of it.
 */
export function describePlan(plan: Plan, { refusals, effects }: Outlook, width: number | undefined): string {
  const steps = plan.steps.filter((step) => step.kind !== 'barrier');
  const rows = steps.map((step, index) => [String(index + 1), step.id, riskOf(step), step.title]);
  const titles = ['NO', 'STEP', 'RISK', 'WHAT IT DOES'];
  const stepTable = table(titles, rows, { width, long: 'shortened' });
  const isCut = stepTable !== table(titles, rows);
  const lines = [
    `${plan.playbook}${plan.target === '' ? '' : ` ${plan.target}`} on cluster ${plan.cluster} (${plan.fsid})`,
    plan.summary,
    '',
    stepTable,
    ...(isCut ? ['(cut to fit at …; whole with: cephflow plan … | less)'] : []),
    '',
    ...effects.map((effect) => wrapSentence(effect, width, '  ')),
    `Plan: ${steps.length} steps${severeSteps(steps)}. Blockers: ${refusals.length === 0 ? 'none' : refusals.length}.`,
    ...refusals.map((reason) => wrapSentence(`  - ${reason}`, width, '    ')),
  ];
  return lines.join('\n');
}

/** Be the plan as `-o json` shows it. Stable: `{ plan, refusals, effects }`, the plan as it is stored. */
export function planAsJson(plan: Plan, outlook: Outlook): unknown {
  return { plan, ...outlook };
}

const loud: Readonly<Partial<Record<Risk, string>>> = {
  'stops-service': 'STOPS SERVICE',
  'destroys-data': 'DESTROYS DATA',
};

const riskOf = (step: PlanStep) => loud[step.risk] ?? step.risk;

function severeSteps(steps: readonly PlanStep[]): string {
  const counted = risks
    .filter((risk) => risk === 'moves-data' || loud[risk] !== undefined)
    .map((risk) => ({ risk, count: steps.filter((step) => step.risk === risk).length }))
    .filter(({ count }) => count > 0);
  return counted.length === 0 ? '' : `, ${counted.map(({ risk, count }) => `${count} ${risk}`).join(', ')}`;
}

/** Tell whether a plan stops or destroys something, so that a person has to confirm it by its target's name. */
export function isSevere(plan: Plan): boolean {
  return plan.steps.some((step) => loud[step.risk] !== undefined);
}
