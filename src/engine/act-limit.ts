import { formatDuration, parseDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { Task } from '../task/task.ts';
import { abortedBy } from './ask.ts';

/** An act that was told to end gets so long to do it before it is left behind. */
const endGraceMs = 10_000;

/** Say how long an act may take: the step's own word, else the task's, else ten minutes. */
interface ActLimit extends Pick<Task, 'limit'> {
  readonly limitMs?: number;
}

/**
 * Carry out something that changes the world, no longer than its task's limit. Its own signal fires then, or with the
 * given one; what does not end after that is left behind.
 * @throws COMMAND_TIMED_OUT, the reason of the signal, and what the act throws
 */
export async function withinActLimit<T>(
  { limit = '10m', limitMs }: ActLimit,
  stopping: AbortSignal,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const { signal } = ending;
  const timer = setTimeout(() => {
    const what = `the act did not end within ${limitMs === undefined ? limit : formatDuration(limitMs)} and was stopped`;
    ending.abort(new CephflowError('COMMAND_TIMED_OUT', what));
  }, limitMs ?? parseDuration(limit));
  // AbortSignal.any would do, at many times the price
  const stop = () => ending.abort(stopping.reason);
  stopping.addEventListener('abort', stop, { once: true });
  try {
    if (stopping.aborted) throw abortedBy(stopping);
    return await untilAborted(signal, act(signal));
  } finally {
    clearTimeout(timer);
    stopping.removeEventListener('abort', stop);
  }
}

/** Give the act's result; after the signal it has a short grace to end by itself. */
function untilAborted<T>(signal: AbortSignal, act: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const leave = () => {
      timer = setTimeout(() => reject(abortedBy(signal)), endGraceMs);
    };
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      end();
    };
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    act.then(
      (value) => settle(() => resolve(value)),
      // what a killed command says is less than why it was killed
      (error) => settle(() => reject(signal.aborted ? abortedBy(signal) : error)),
    );
  });
}
