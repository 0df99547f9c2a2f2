import { closest, distance } from 'fastest-levenshtein';

/** A guess further away than this share of the word would read as a joke. */
const farthestShare = 0.5;

/** Find the known name most like a mistyped one, or undefined where none is close. */
function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const best = closest(word, [...known]);
  return distance(word, best) <= Math.max(2, Math.ceil(word.length * farthestShare)) ? best : undefined;
}

/** Write ` Did you mean "x"?` for an error text, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const guess = nearest(word, known);
  return guess === undefined || guess === word ? '' : ` Did you mean "${guess}"?`;
}
