import type { ScriptArgument } from './store-scripts.ts';

/**
 * Operations of one call. A call goes out as soon as it is full, so that Redis works on it while this process goes on with
 * the next: were all that 50 slots want one call, each side would wait for the other.
 */
const longestBatch = 25;

/** Ask for one operation on a step of a run: see lua/steps.lua for names, arguments and answers. */
export type AskStep = (run: string, operation: string, args: readonly ScriptArgument[]) => Promise<unknown>;

interface Asked {
  readonly words: readonly ScriptArgument[];
  resolve(answer: unknown): void;
  reject(thrown: unknown): void;
}

/**
 * Bring what a worker asks of one run in one turn of the event loop into one call, in its order. Each operation is
 * idempotent by itself, so that a call which is sent again after a lost connection gives the same answers.
 */
export function batchSteps(
  call: (run: string, args: readonly ScriptArgument[]) => Promise<unknown>,
): AskStep {
  const open = new Map<string, Asked[]>();

  async function send(run: string, batch: readonly Asked[]): Promise<void> {
    if (open.get(run) === batch) open.delete(run);
    try {
      const answers = (await call(
        run,
        batch.flatMap(({ words }) => words),
      )) as unknown[];
      for (const [index, { resolve, reject }] of batch.entries()) {
        const answer = answers[index];
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      }
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown);
    }
  }

  return (run, operation, args) =>
    new Promise((resolve, reject) => {
      const asked = { words: [operation, args.length, ...args], resolve, reject };
      const batch = open.get(run);
      if (!batch) {
        const begun = [asked];
        open.set(run, begun);
        setImmediate(() => {
          if (open.get(run) === begun) void send(run, begun);
        });
        return;
      }
      batch.push(asked);
      if (batch.length >= longestBatch) void send(run, batch);
    });
}
