import { CephflowError } from '../base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Io } from './io.ts';
import { isSevere } from './show-plan.ts';

/**
 * Have the operator name what a severe plan is about: typed at a terminal, or with --confirm in a script.
 * A plan that neither stops nor destroys anything needs no confirmation.
 * @throws USAGE for a --confirm of something else, or none where nobody can be asked; DECLINED for another answer
 */
export async function confirmPlan(plan: Plan, given: string | undefined, io: Io): Promise<void> {
  const name = plan.target === '' ? plan.playbook : plan.target;
  if (given !== undefined && given !== name) {
    throw new CephflowError('USAGE', `--confirm says ${given}, but the plan is about ${name}`, {
      hint: `nothing was changed; if you mean ${name}, type --confirm ${name}`,
    });
  }
  if (given !== undefined || !isSevere(plan)) return;
  if (!io.canAsk) {
    throw new CephflowError(
      'USAGE',
      'this plan stops services or destroys data, and nobody is there to confirm it',
      {
        hint: `nothing was changed; add --confirm ${name}, or --dry-run to see the plan`,
      },
    );
  }
  const answer = await io.ask(`This cannot be taken back. Type ${name} to go on: `);
  if (answer?.trim() === name) return;
  throw new CephflowError('DECLINED', `the answer was not ${name}`, { hint: 'nothing was changed' });
}
