/** Be a stretch of a text: literal characters, or the source of an expression and where it begins in the text. */
export type TextPart =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'expression'; readonly source: string; readonly offset: number };

/** What came of a text; `fault` where an expression does not end. */
export type SplitText =
  | { readonly parts: readonly TextPart[]; readonly fault?: undefined }
  | { readonly fault: string; readonly offset: number };

/** Split a text at its `${…}`; `$${` stands for the characters `${`. Braces and quotes inside an expression may nest. */
export function splitText(text: string): SplitText {
  const parts: TextPart[] = [];
  let literal = '';
  let at = 0;
  // Ends: `at` grows in each turn, up to the length of the text.
  while (at < text.length) {
    if (text.startsWith('$${', at)) {
      literal += '${';
      at += 3;
    } else if (text.startsWith('${', at)) {
      const end = endOfExpression(text, at + 2);
      if (end === undefined) return { fault: '${ has no closing brace', offset: at };
      if (literal !== '') parts.push({ kind: 'literal', text: literal });
      literal = '';
      parts.push({ kind: 'expression', source: text.slice(at + 2, end), offset: at + 2 });
      at = end + 1;
    } else {
      literal += text[at];
      at += 1;
    }
  }
  if (literal !== '' || parts.length === 0) parts.push({ kind: 'literal', text: literal });
  return { parts };
}

/** Texts in quotes, in which braces mean nothing, and braces. */
const quotedOrBrace = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}]/g;

/** Find the brace that ends the expression begun at `from`. */
function endOfExpression(text: string, from: number): number | undefined {
  let depth = 0;
  for (const { 0: token, index } of text.slice(from).matchAll(quotedOrBrace)) {
    if (token === '{') depth += 1;
    if (token === '}') depth -= 1;
    if (depth < 0) return from + index;
  }
  return undefined;
}
