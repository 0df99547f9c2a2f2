import type { RunEvent } from '../run/events.ts';
import { textOf } from './lines.ts';

/**
 * Keep the lines of a followed run few: a wait is told when its reason changes by more than its numbers, and the
 * asking in between (ready, running, waiting again) is not told at all.
 */
export function createNoiseFilter() {
  const waits = new Map<number, Told>();

  function isNewReason(step: number, event: RunEvent): boolean {
    const [text, attempt] = [textOf(event), event.attempt];
    const reason = text.replaceAll(/\d+(\.\d+)?/g, '#');
    if (text === '' || waits.get(step)?.reason === reason) return false;
    waits.set(step, { reason, attempt });
    return true;
  }

  return {
    /** Tell whether an event is worth a line. */
    isNews(event: RunEvent): boolean {
      const { step, kind, state, attempt } = event;
      if (step === undefined) return true;
      if (kind === 'step-waits' || state === 'waiting') return isNewReason(step, event);
      if (kind !== 'step-state-changed') return kind !== 'hold-renewed';
      const told = waits.get(step);
      if (state === 'ready' || state === 'running') return isAnotherTry(told, attempt);
      waits.delete(step);
      return true;
    },
  };
}

interface Told {
  readonly reason: string;
  readonly attempt: number | undefined;
}

/** A step that waits becomes ready and running each time it is asked: only another attempt is worth telling. */
function isAnotherTry(told: Told | undefined, attempt: number | undefined): boolean {
  if (told === undefined) return true;
  return attempt !== undefined && told.attempt !== undefined && attempt !== told.attempt;
}
