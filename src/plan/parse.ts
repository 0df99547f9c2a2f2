import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Playbook } from './playbook.ts';
import { type Place, type Problem, problemAt } from './problems.ts';
import { readPlaybook } from './read-playbook.ts';
import type { Written, WrittenEntry } from './written.ts';

/**
 * What came of a file: the playbook, where its form is good, and everything that is wrong with it. `draft`: as much of
 * the playbook as could be read, so that `checkPlaybook` can find further mistakes; absent where it is no mapping.
 */
export interface Parsed {
  readonly playbook: Playbook | undefined;
  readonly draft: Playbook | undefined;
  readonly problems: readonly Problem[];
}

/** Nesting deeper than this is no playbook but a mistake or an attack on the stack. */
const deepest = 40;

/**
 * Read a playbook from YAML text. Finds everything that is wrong with its form at once: syntax, unknown keys, types,
 * ids given twice. Whether tasks and names exist is asked by `checkPlaybook`.
 * @param file the name that problems carry
 */
export function parsePlaybook(text: string, file: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, intAsBigInt: true, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  const problems: Problem[] = faults.map((fault) => {
    const { line, col } = lines.linePos(fault.pos[0]);
    return { file, line, column: col, message: `this is not YAML: ${describeFault(fault)}` };
  });
  // what the parser guesses behind any other fault would be reported as mistakes that nobody made
  if (faults.some(({ code }) => code !== 'DUPLICATE_KEY')) {
    return { playbook: undefined, draft: undefined, problems };
  }
  const reader: Reader = { text, file, lines, problems };
  const written = readNode(reader, contentsOf(document), 0);
  const draft = readPlaybook(written, problems);
  if (problems.length === 0) return { playbook: draft, draft, problems };
  return { playbook: undefined, draft: draft && { ...draft, isDraft: true }, problems };
}

interface Reader {
  readonly text: string;
  readonly file: string;
  readonly lines: LineCounter;
  readonly problems: Problem[];
}

function contentsOf(document: Document.Parsed): Node | null {
  return document.contents;
}

/** Words for the faults that people make most; the parser's own words for the rest. */
const faultWords: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab is used to indent; expected spaces',
  DUPLICATE_KEY: 'the same key stands twice in one mapping',
};

function describeFault(fault: { readonly code: string; readonly message: string }): string {
  return faultWords[fault.code] ?? fault.message.split('\n')[0] ?? fault.code;
}

function readNode(reader: Reader, node: unknown, depth: number): Written {
  const place = placeOf(reader, node);
  const nothing: Written = { kind: 'scalar', value: null, place };
  if (depth > deepest) {
    reader.problems.push(problemAt(place, `nested deeper than ${deepest} levels`));
    return nothing;
  }
  if (isMap(node)) {
    const entries = node.items.map((pair) => readEntry(reader, pair, depth));
    return { kind: 'map', entries, place };
  }
  if (isSeq(node)) {
    return { kind: 'list', items: node.items.map((item) => readNode(reader, item, depth + 1)), place };
  }
  if (isScalar(node)) return { kind: 'scalar', value: readScalar(reader, node.value, place), place };
  if (isAlias(node)) {
    reader.problems.push(problemAt(place, `*${node.source} is an alias: expected the value written out`));
  }
  return nothing;
}

function readEntry(
  reader: Reader,
  pair: { readonly key: unknown; readonly value: unknown },
  depth: number,
): WrittenEntry {
  const keyPlace = placeOf(reader, pair.key);
  const key = isScalar(pair.key) ? String(pair.key.value) : '';
  if (key === '') reader.problems.push(problemAt(keyPlace, 'a key is no word: expected a name'));
  const value = readNode(reader, pair.value, depth + 1);
  const hasPlace = typeof pair.value === 'object' && pair.value !== null;
  return { key, keyPlace, value: hasPlace ? value : { ...value, place: keyPlace } };
}

function readScalar(reader: Reader, value: unknown, place: Place): null | boolean | number | string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value);
  reader.problems.push(problemAt(place, `${String(value)} is no number that JSON keeps exactly`));
  return null;
}

function placeOf(reader: Reader, node: unknown): Place {
  const start = rangeStart(node);
  if (start === undefined) return { file: reader.file, line: 1, column: 1 };
  const { line, col } = reader.lines.linePos(start);
  const place = { file: reader.file, line, column: col };
  if (!isScalar(node) || typeof node.value !== 'string') return place;
  const quote = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE' ? 1 : 0;
  const isVerbatim = reader.text.startsWith(node.value, start + quote);
  return isVerbatim ? { ...place, textColumn: col + quote } : place;
}

function rangeStart(node: unknown): number | undefined {
  const range = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node.range : undefined;
  return range?.[0];
}
