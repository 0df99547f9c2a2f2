import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../base/json.ts';

/** Hash a value by its canonical JSON: SHA-256 in hex. Equal values have equal hashes, whatever the order of keys. */
export function hashJson(value: Json): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}
