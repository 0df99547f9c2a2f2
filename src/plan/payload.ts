import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';

/** Longest payload: it stands in the plan, and goes with every hook. Larger things belong elsewhere, under a name. */
const longestBytes = 4096;

/**
 * Refuse a payload that is too long. `of`: whose it is, for people.
 * @throws PARAM_INVALID
 */
export function checkPayload(of: string, payload: Json | undefined): void {
  if (payload === undefined) return;
  const { length } = new TextEncoder().encode(JSON.stringify(payload));
  if (length <= longestBytes) return;
  throw new CephflowError(
    'PARAM_INVALID',
    `the payload of ${of} is ${length} bytes of JSON: expected at most ${longestBytes}`,
    { hint: 'keep a name or a link in it, and the rest where that leads' },
  );
}
