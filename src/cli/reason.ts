import { CephflowError } from '../base/errors.ts';

/** A reason stands in one line of whoever waits. */
const longestReason = 300;

/** Read the reason of an act that stands in a marker: one line, not empty, not endless. @throws USAGE */
export function readReason(typed: string): string {
  const reason = typed.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  if (reason !== '' && reason.length <= longestReason) return reason;
  throw new CephflowError('USAGE', `--reason takes a sentence of at most ${longestReason} characters`, {
    hint: 'nothing was changed; it is shown to everybody whose steps wait',
  });
}
