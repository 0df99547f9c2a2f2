import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../base/json.ts';

/** Hash a value by its canonical JSON: SHA-256 in hex. Equal values have equal hashes, whatever the order of keys. */
export function hashJson(value: Json): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/**
 * Hash a head and the steps that follow it, without ever writing them as one text: SHA-256 in hex of the canonical JSON
 * of `head`, followed by that of each step. As each of these is an object, two different sequences are two texts.
 */
export function hashSteps(head: object, steps: Iterable<object>): string {
  const hash = createHash('sha256').update(canonicalJson(head as Json));
  for (const step of steps) hash.update(canonicalJson(step as Json));
  return hash.digest('hex');
}
