import { asCephflowError, type CephflowError, describeError } from '../base/errors.ts';
import type { Io } from './io.ts';
import { shortRun } from './lines.ts';

/**
 * Tell an operator on stderr what failed, why and what to do, also under -q. With -v the stack and the causes follow.
 * @returns the exit code that the command ends with
 */
export function reportError(thrown: unknown, io: Pick<Io, 'warn'>, isVerbose: boolean): number {
  const error = asCephflowError(thrown);
  io.warn(shortenRuns(describeError(error)));
  if (isVerbose) io.warn(stacks(error).join('\n'));
  return error.exitCode;
}

/** Runs are called by the end of their id everywhere else, and every command takes it. */
const shortenRuns = (text: string) => text.replaceAll(/\b01[0-9a-hjkmnp-tv-z]{24}\b/g, shortRun);

/** Causes told below one another; deeper ones say nothing that helps. */
const mostCauses = 5;

function stacks(error: CephflowError): string[] {
  const all: string[] = [];
  let cause: unknown = error;
  while (cause instanceof Error && all.length < mostCauses) {
    all.push(cause.stack ?? cause.message);
    cause = cause.cause;
  }
  return all;
}
