/** Hold what JSON can hold. Everything stored, sent or hashed is of this type. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** Hold a JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Tell whether a JSON value is an object, not an array or null. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Write JSON with sorted keys, so that equal values have equal text (and equal hashes). */
export function canonicalJson(value: Json): string {
  let text = '';
  writeCanonicalJson(value, (piece) => {
    text += piece;
  });
  return text;
}

/** Write canonical JSON piece by piece, so that the text of a large value is never there as a whole. */
export function writeCanonicalJson(value: Json, write: (piece: string) => void): void {
  if (Array.isArray(value)) {
    write('[');
    for (const [index, item] of (value as readonly Json[]).entries()) {
      if (index > 0) write(',');
      writeCanonicalJson(item, write);
    }
    write(']');
  } else if (isJsonObject(value)) {
    let before = '{';
    for (const key of Object.keys(value).sort()) {
      write(`${before}${JSON.stringify(key)}:`);
      writeCanonicalJson(value[key] ?? null, write);
      before = ',';
    }
    write(before === '{' ? '{}' : '}');
  } else write(JSON.stringify(value));
}
