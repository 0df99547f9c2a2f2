import { createHash } from 'node:crypto';
import { type Json, writeCanonicalJson } from '../base/json.ts';

/** Hash a value by its canonical JSON: SHA-256 in hex. Equal values have equal hashes, whatever the order of keys. */
export function hashJson(value: Json): string {
  return hashAll([value]);
}

/**
 * Hash a head and the steps that follow it: SHA-256 in hex of the canonical JSON of `head`, followed by that of each
 * step. As each of these is an object, two different sequences are two texts.
 */
export function hashSteps(head: object, steps: readonly object[]): string {
  return hashAll([head as Json], steps as readonly Json[]);
}

/** Characters that are hashed at once: the text of a large plan is never there as a whole. */
const longestPiece = 16_384;

function hashAll(...lists: readonly (readonly Json[])[]): string {
  const hash = createHash('sha256');
  let text = '';
  const write = (piece: string) => {
    text += piece;
    if (text.length < longestPiece) return;
    hash.update(text);
    text = '';
  };
  for (const values of lists) for (const value of values) writeCanonicalJson(value, write);
  return hash.update(text).digest('hex');
}
