import { CephflowError } from '../base/errors.ts';
import type { Store } from '../engine/store.ts';

/** Carry out an act; where it is refused, name the step as people know it: the store knows only its number. */
export function inWords<T>(store: Pick<Store, 'plan'>, run: string, act: () => Promise<T>): Promise<T> {
  return act().catch(async (thrown: unknown) => {
    if (!(thrown instanceof CephflowError) || thrown.code !== 'CONTROL_REFUSED') throw thrown;
    const { steps } = await store.plan(run);
    const nameOf = (index: string) => steps[Number(index)]?.id;
    const message = thrown.message
      .replace(/^cannot decide step/, 'cannot answer step')
      .replace(/ step (\d+) of run/, (all, index: string) => {
        const id = nameOf(index);
        return id === undefined ? all : ` ${id} of run`;
      })
      .replace(/: step (\d+) (?=has|is|was)/, (all, index: string) => {
        const id = nameOf(index);
        return id === undefined ? all : `: ${id} `;
      });
    const hint = thrown.hint === undefined ? {} : { hint: thrown.hint };
    throw new CephflowError('CONTROL_REFUSED', message, { cause: thrown, ...hint });
  });
}
