import { setTimeout as pause } from 'node:timers/promises';

const pollMs = 100;

/**
 * Ask again and again until the answer is neither undefined nor false.
 * @throws Error that names what was awaited, with the last error or note, after `limitSeconds`.
 */
export async function until<T>(
  what: string,
  limitSeconds: number,
  ask: () => Promise<T | undefined | false>,
  note: () => string = () => '',
): Promise<T> {
  const deadline = Date.now() + limitSeconds * 1000;
  let trouble: unknown;
  while (Date.now() < deadline) {
    const answer = await ask().catch((error: unknown) => {
      trouble = error;
      return undefined;
    });
    if (answer !== undefined && answer !== false) return answer;
    await pause(pollMs);
  }
  throw new Error(`lab: not within ${limitSeconds} s: ${what}. ${note()}`, { cause: trouble });
}
