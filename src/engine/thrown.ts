import {
  asCephflowError,
  CephflowError,
  type CommandTrace,
  type Disposition,
  type ErrorCode,
  errorCodes,
} from '../base/errors.ts';

const dispositions: readonly unknown[] = ['retry', 'pause', 'stop'] satisfies Disposition[];

/**
 * Understand what a task threw. A users' task may have been loaded with another copy of the class, where instanceof
 * says no: an error that has the name and a known code of ours is rebuilt with all it says.
 */
export function understandThrown(thrown: unknown): CephflowError {
  if (thrown instanceof CephflowError) return thrown;
  if (!(thrown instanceof Error) || thrown.name !== 'CephflowError') return asCephflowError(thrown);
  const { code, disposition, hint, command } = thrown as Partial<CephflowError>;
  if (code === undefined || !(code in errorCodes)) return asCephflowError(thrown);
  return new CephflowError(code as ErrorCode, thrown.message, {
    cause: thrown.cause ?? thrown,
    ...(typeof hint === 'string' && { hint }),
    ...(dispositions.includes(disposition) && { disposition: disposition as Disposition }),
    ...(command && { command: command as CommandTrace }),
  });
}
