import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';

/** Say where something stands in a file; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Hold one mistake of the config. */
export interface Problem {
  readonly place: Place;
  readonly text: string;
}

/** Hold what several config files say together, and which file said which key last. */
export interface Layers {
  readonly values: JsonObject;
  /** Place of each key, by its path as `placeKey` writes it. */
  readonly places: ReadonlyMap<string, Place>;
  readonly problems: readonly Problem[];
}

/** Write the path of a key as one text for the map of places. */
export const placeKey = (path: readonly PropertyKey[]): string => path.map(String).join('\0');

/**
 * Put config files on top of one another: maps are joined key by key, everything else is replaced by the later file.
 * Mistakes of the YAML itself are among the problems; the file that has them counts for nothing else.
 */
export function layConfigFiles(files: readonly { readonly file: string; readonly text: string }[]): Layers {
  const places = new Map<string, Place>();
  const problems: Problem[] = [];
  let values: JsonObject = {};
  for (const { file, text } of files) {
    const layer = readLayer(file, text);
    problems.push(...layer.problems);
    for (const [key, place] of layer.places) places.set(key, place);
    values = join(values, layer.values);
  }
  return { values, places, problems };
}

function readLayer(file: string, text: string): Layers {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, version: '1.2' });
  const placeAt = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { file, line, column: col };
  };
  const places = new Map<string, Place>();
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({ place: placeAt(error.pos[0]), text: error.message }));
    return { values: {}, places, problems };
  }
  const root = document.contents as Node | null;
  notePlaces(root, [], (path, offset) => places.set(placeKey(path), placeAt(offset)));
  const values = document.toJS() as Json;
  if (values === null) return { values: {}, places, problems: [] };
  if (isJsonObject(values)) return { values, places, problems: [] };
  const text0 = 'the config must be a map that starts with keys such as clusters: or contacts:';
  return { values: {}, places, problems: [{ place: placeAt(0), text: text0 }] };
}

/** The place of a map's member is its key, of a list's member the member. */
function notePlaces(
  node: unknown,
  path: readonly PropertyKey[],
  note: (path: readonly PropertyKey[], offset: number) => void,
): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const at = [...path, String(key.value)];
      note(at, key.range?.[0] ?? 0);
      notePlaces(value, at, note);
    }
  }
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      note([...path, index], (item as Node).range?.[0] ?? 0);
      notePlaces(item, [...path, index], note);
    }
  }
}

function join(below: JsonObject, above: JsonObject): JsonObject {
  const joined: Record<string, Json> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const before = joined[key];
    joined[key] = isJsonObject(before) && isJsonObject(value) ? join(before, value) : value;
  }
  return joined;
}
