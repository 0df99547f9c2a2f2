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
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  let text = '';
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`;
  }
  return `{${text}}`;
}
