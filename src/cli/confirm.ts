import { CephflowError } from '../base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Io } from './io.ts';
import { shortRun } from './lines.ts';
import { isSevere } from './show-plan.ts';

/**
 * Have the operator name what a severe plan is about: typed at a terminal, or with --confirm in a script.
 * A plan that neither stops nor destroys anything needs no confirmation.
 * @throws USAGE for a --confirm of something else, or none where nobody can be asked; DECLINED for another answer
 */
export async function confirmPlan(plan: Plan, given: string | undefined, io: Io): Promise<void> {
  const name = plan.target === '' ? plan.playbook : plan.target;
  if (given !== undefined) return confirmSame({ given, name, subject: 'the plan is about' });
  if (!isSevere(plan)) return;
  await askName(io, {
    name,
    unattended: 'this plan stops services or destroys data',
    warning: 'This cannot be taken back.',
    otherwise: ', or --dry-run to see the plan',
  });
}

/** Say why a run has to be named before something is done to it. */
interface RunConfirmation {
  readonly run: string;
  readonly given: string | undefined;
  /** Begins the refusal where nobody can be asked: `this ends the run as it is`. */
  readonly unattended: string;
  /** Stands before the question. */
  readonly warning: string;
}

/**
 * Have the operator type a run's id, whole or as it is shown.
 * @throws USAGE for a --confirm of something else, or none where nobody can be asked; DECLINED for another answer
 */
export async function confirmRun(io: Io, confirmation: RunConfirmation): Promise<void> {
  const { run, given } = confirmation;
  const name = shortRun(run);
  if (given === undefined) return askName(io, { ...confirmation, name, otherwise: '' });
  if (given.toLowerCase() !== run) confirmSame({ given: given.toLowerCase(), name, subject: 'the run is' });
}

/** Compare what --confirm says with what is meant. @throws USAGE */
export function confirmSame({
  given,
  name,
  subject,
}: {
  readonly given: string;
  readonly name: string;
  readonly subject: string;
}): void {
  if (given === name) return;
  throw new CephflowError('USAGE', `--confirm says ${given}, but ${subject} ${name}`, {
    hint: `nothing was changed; if you mean ${name}, type --confirm ${name}`,
  });
}

interface Question {
  readonly name: string;
  readonly unattended: string;
  readonly warning: string;
  readonly otherwise: string;
}

async function askName(io: Io, { name, unattended, warning, otherwise }: Question): Promise<void> {
  if (!io.canAsk) {
    throw new CephflowError('USAGE', `${unattended}, and nobody is there to confirm it`, {
      hint: `nothing was changed; add --confirm ${name}${otherwise}`,
    });
  }
  const answer = await io.ask(`${warning} Type ${name} to go on: `);
  if (answer?.trim() === name) return;
  throw new CephflowError('DECLINED', `the answer was not ${name}`, { hint: 'nothing was changed' });
}
