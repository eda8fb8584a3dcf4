/** Rows of text -> a block of token rows, with what is to be said of them. */
import { type DataKind, type RowOf, type TokenizeOptions, tokenizeRows } from '../data/index.js';
import {
  ChatTemplate,
  type ChatTemplateParts,
  type Tokenizer,
  type TokenizerOrigin,
  tokenizerOf,
} from '../text/index.js';
import { type Block, type NumberedRow, RowLayout } from './layout.js';
import type { SaidOfRow } from './token-file.js';

/** How rows are made tokens of. */
export interface Tokenizing<Kind extends DataKind = DataKind> {
  kind: Kind;
  tokenizer: Tokenizer;
  options: TokenizeOptions;
  /** The files that rows come from. */
  files: readonly string[];
}

/** The same as plain values, which another thread makes it of again. */
export interface TokenizingParts {
  kind: DataKind;
  origin: TokenizerOrigin;
  said: Pick<Tokenizer, 'chatTemplate' | 'toolTemplate' | 'specialTokens'>;
  template: ChatTemplateParts | undefined;
  options: Omit<TokenizeOptions, 'chatTemplate'>;
  files: readonly string[];
}

/** Rows that were read one after the other. */
export interface TextRows<Kind extends DataKind = DataKind> {
  /** The ordinal of the first. */
  first: number;
  rows: readonly RowOf[Kind][];
}

export interface TokenBlock {
  block: Block;
  said: SaidOfRow[];
}

/** Ids of two bytes suffice for most tokenizers. */
export const isWide = ({ vocabSize }: Tokenizer) => vocabSize > 1 << 16;

export function tokenizeBlock<Kind extends DataKind>(
  { kind, tokenizer, options, files }: Tokenizing<Kind>,
  { first, rows }: TextRows<Kind>,
): TokenBlock {
  const kept: NumberedRow<Kind>[] = [];
  const said: SaidOfRow[] = [];
  for (const [i, row] of rows.entries()) {
    const ordinal = first + i;
    const { rows: usable, report } = tokenizeRows(kind, [row], tokenizer, options);
    if (usable[0]) kept.push({ ordinal, row: usable[0] });
    const place = { ordinal, index: row.index, line: row.line, file: files.indexOf(row.file) };
    for (const text of report.byReason.keys()) said.push({ ...place, text, isSkip: true });
    for (const text of report.remarks.keys()) said.push({ ...place, text, isSkip: false });
  }
  return { block: new RowLayout(kind, isWide(tokenizer), files).encode(kept), said };
}

/** For another thread; undefined where the tokenizer's files are not known. */
export function partsOf({ kind, tokenizer, options, files }: Tokenizing): TokenizingParts | undefined {
  const { origin, chatTemplate, toolTemplate, specialTokens } = tokenizer;
  if (origin === undefined) return undefined;
  const { chatTemplate: template, ...others } = options;
  const said = { chatTemplate, toolTemplate, specialTokens };
  return { kind, origin, said, template: template?.parts, options: others, files };
}

export function tokenizingOf({ kind, origin, said, template, options, files }: TokenizingParts): Tokenizing {
  const chatTemplate = template && ChatTemplate.of(...template);
  return { kind, tokenizer: { ...tokenizerOf(origin), ...said }, options: { ...options, chatTemplate }, files };
}
