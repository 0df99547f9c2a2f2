import { CephflowError } from '../base/errors.ts';

/** Say that a run or a step is not in a state for what was asked. */
export function refusedControl(
  act: string,
  run: string,
  step: number | undefined,
  why: string,
): CephflowError {
  const what = step === undefined ? `run ${run}` : `step ${step} of run ${run}`;
  const name = act.replace('-all', '').replace('-', ' as ');
  return new CephflowError('CONTROL_REFUSED', `cannot ${name} ${what}: ${why}`, {
    hint: `\`cephflow show ${run}\` tells its state`,
  });
}
