/** A line broken into less than this is a column of syllables: then the terminal may break it itself. */
const narrowest = 20;

/**
 * Longer texts hold commands as a rule: broken by the terminal itself they can be copied as they are, broken by us they
 * cannot.
 */
export const mostLines = 4;

/** Cut a text so that it fits, with … in the place of what is missing. */
export function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1)).trimEnd()}…`;
}

/** Break a text between words into lines that fit; a word that is longer than a line is cut into several. */
export function wrapWords(text: string, width: number): readonly string[] {
  const room = Math.max(narrowest, width);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((one) => piecesOf(one, room))) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Break a sentence for a terminal; the lines after the first are indented by `indent`. Without a width it stays one line. */
export function wrapSentence(text: string, width: number | undefined, indent: string): string {
  if (width === undefined || text.length <= width || text.length > width * mostLines) return text;
  const [lead = ''] = /^ */.exec(text) ?? [];
  return `${lead}${wrapWords(text.trimStart(), width - indent.length).join(`\n${indent}`)}`;
}

function piecesOf(word: string, width: number): readonly string[] {
  const count = Math.max(1, Math.ceil(word.length / width));
  return Array.from({ length: count }, (_, index) => word.slice(index * width, (index + 1) * width));
}
