import { CephflowError } from '../../src/base/errors.ts';

/** Wait for something to be refused, and give the refusal. */
export async function refusalOf(act: () => Promise<unknown>): Promise<CephflowError> {
  try {
    await act();
  } catch (thrown) {
    if (thrown instanceof CephflowError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was refused');
}
