/** From rows of text to token ids, as TRL does it; rows that cannot be used are reported. */
import { type ChatTemplate, modelChatTemplate } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { type EncodedChat, encodeChat, encodeRow, type Skipped } from './encode.js';
import { completionMessages, isEmpty, promptMessages } from './messages.js';
import type { DataKind, ExampleRow, PreferenceRow, RowOf, RowPlace, TextRow } from './row.js';
import { keepUsable, type SkipReport } from './skips.js';

/** A preference pair as token ids: a prompt and two completions, each followed by EOS unless it was cut. */
export interface TokenizedPair extends RowPlace {
  prompt: Int32Array;
  chosen: Int32Array;
  rejected: Int32Array;
  /** Whether a text's own tokens do not begin with the prompt's: a token then straddles the border of the prompt. */
  boundaryMismatch: boolean;
}

/** A completion with a label, as token ids. */
export interface TokenizedExample extends RowPlace {
  prompt: Int32Array;
  completion: Int32Array;
  /** The completion before it was cut, as it is lent to other prompts; the same where it is left out. */
  uncut?: Int32Array | undefined;
  /** Whether it is a desirable completion. */
  label: boolean;
  boundaryMismatch: boolean;
}

/** A text to be imitated, as token ids. */
export interface TokenizedText extends RowPlace {
  /** What is read only; empty where the whole text is scored. */
  prompt: Int32Array;
  completion: Int32Array;
  /** Which tokens of the completion are scored (1) and which only read (0); all when left out. */
  scored?: Uint8Array | undefined;
  boundaryMismatch: boolean;
}

export interface TokenizeOptions {
  /** Tokens of prompt and completion together. */
  maxLength: number;
  /**
   * What is cut from rows that are longer: `keepStart` the end of the completion (TRL), and prompts that leave no room
   * for one are skipped; `keepEnd` the start of the prompt, BOS apart, and completions that leave no room for a token of
   * it are skipped. Default: keepStart.
   */
  truncate?: 'keepStart' | 'keepEnd' | undefined;
  /** Keep pairs whose completions are the same tokens, or become so when cut; TRL does. */
  keepIdentical?: boolean | undefined;
  /**
   * The template of all rows: a plain prompt becomes a message of the user, or the turns of its transcript. Left out,
   * plain text stays as it is and chats take the template of the model.
   */
  chatTemplate?: ChatTemplate | undefined;
  /**
   * Which tokens of a text to be imitated are scored: those of its `completion`, of every answer of the `assistant` in a
   * chat, or of the `full` text. Default: completion.
   */
  loss?: 'completion' | 'assistant' | 'full' | undefined;
}

/** The tokenised row of each kind. */
export interface TokenizedOf {
  pairs: TokenizedPair;
  unpaired: TokenizedExample;
  sft: TokenizedText;
}

/** The usable rows of a kind as token ids, in their order, and a report on all. Errors: those of {@link encodeRow}. */
export function tokenizeRows<Kind extends DataKind>(
  kind: Kind,
  rows: Iterable<RowOf[Kind]>,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): { rows: TokenizedOf[Kind][]; report: SkipReport } {
  return keepUsable(rows, (row) => tokenizers[kind](row, tokenizer, options));
}

/** The usable pairs of rows in their order, and a report on the others. Errors: those of {@link encodeRow}. */
export function tokenizePairs(
  rows: Iterable<PreferenceRow>,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): { pairs: TokenizedPair[]; report: SkipReport } {
  const { rows: pairs, report } = tokenizeRows('pairs', rows, tokenizer, options);
  return { pairs, report };
}

/**
 * A pair as token ids, or why it cannot be used. Both completions have the same prompt, cut to fit the longer one.
 * Source: TRL's DPOTrainer. Other than there, completions that are empty but for white space are skipped, and so are
 * identical pairs unless `keepIdentical`. Errors: those of {@link encodeRow}.
 */
export function tokenizePair(
  row: PreferenceRow,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): TokenizedPair | Skipped {
  if (row.skipped !== undefined) return { skipped: row.skipped };
  const encoded = encodeRow(row.prompt, [row.chosen, row.rejected], tokenizer, options.chatTemplate);
  if ('skipped' in encoded) return encoded;
  const cut = fit(encoded, options);
  if ('skipped' in cut) return cut;
  const [chosen, rejected] = cut.completions as [Int32Array, Int32Array];
  if (!options.keepIdentical && isEqual(chosen, rejected)) return { skipped: 'identical pair' };
  return { ...placeOf(row), prompt: cut.prompt, chosen, rejected, boundaryMismatch: !encoded.isCleanCut };
}

/** A completion with a label as token ids, or why it cannot be used. Source: TRL's KTOTrainer. */
export function tokenizeExample(
  row: ExampleRow,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): TokenizedExample | Skipped {
  if (row.skipped !== undefined) return { skipped: row.skipped };
  const encoded = encodeRow(row.prompt, [row.completion], tokenizer, options.chatTemplate);
  if ('skipped' in encoded) return encoded;
  const cut = fit(encoded, options);
  if ('skipped' in cut) return cut;
  const [whole, completion] = [encoded.completions[0]!, cut.completions[0]!];
  return {
    ...placeOf(row),
    prompt: cut.prompt,
    completion,
    ...(whole.length > completion.length ? { uncut: Int32Array.from(whole) } : {}),
    label: row.label,
    boundaryMismatch: !encoded.isCleanCut,
  };
}

/**
 * A text to be imitated as token ids, or why it cannot be used. A text without prompt is scored as a whole, BOS and all
 * that is before the first scored token is the prompt of the others. An answer whose start is cut off is not scored.
 * Source: TRL's SFTTrainer.
 */
export function tokenizeText(row: TextRow, tokenizer: Tokenizer, options: TokenizeOptions): TokenizedText | Skipped {
  if (row.skipped !== undefined) return { skipped: row.skipped };
  const encoded = encodeText(row, tokenizer, options);
  if ('skipped' in encoded) return encoded;
  const { maxLength, truncate = 'keepStart' } = options;
  const { ids, numStart, answers } = encoded;
  const isFull = options.loss === 'full' || row.prompt === '';
  const excess = Math.max(0, ids.length - maxLength);
  const isCutAtStart = truncate === 'keepEnd' && excess > 0;
  const kept = isCutAtStart ? [...ids.slice(0, numStart), ...ids.slice(numStart + excess)] : ids.slice(0, maxLength);
  const shift = isCutAtStart ? excess : 0;
  const scored = new Uint8Array(kept.length);
  if (isFull) scored.fill(1);
  for (const { start, end } of isFull ? [] : answers) {
    const isWhole = start - shift > numStart || shift === 0;
    if (isWhole) scored.fill(1, Math.min(start - shift, kept.length), end - shift);
  }
  const first = scored.indexOf(1);
  if (first === -1) return { skipped: isCutAtStart ? 'completion fills maxLength' : 'prompt fills maxLength' };
  const mask = scored.slice(first);
  return {
    ...placeOf(row),
    prompt: Int32Array.from(kept.slice(0, first)),
    completion: Int32Array.from(kept.slice(first)),
    ...(mask.includes(0) ? { scored: mask } : {}),
    boundaryMismatch: !encoded.isCleanCut && !isFull,
  };
}

const tokenizers: {
  [Kind in DataKind]: (row: RowOf[Kind], tokenizer: Tokenizer, options: TokenizeOptions) => TokenizedOf[Kind] | Skipped;
} = { pairs: tokenizePair, unpaired: tokenizeExample, sft: tokenizeText };

/** A text as ids, with what of them is to be scored. */
function encodeText(row: TextRow, tokenizer: Tokenizer, options: TokenizeOptions): EncodedChat | Skipped {
  const isChat = typeof row.prompt !== 'string' || options.chatTemplate !== undefined;
  if (isChat && row.prompt !== '' && options.loss === 'assistant') {
    if (isEmpty(row.completion)) return { skipped: 'empty completion' };
    const messages = [...promptMessages(row.prompt), ...completionMessages(row.completion)];
    return encodeChat(messages, options.chatTemplate ?? modelChatTemplate(tokenizer), tokenizer);
  }
  const encoded = encodeRow(row.prompt, [row.completion], tokenizer, options.chatTemplate);
  if ('skipped' in encoded) return encoded;
  const ids = [...encoded.prompt, ...encoded.completions[0]!];
  return { ...encoded, ids, answers: [{ start: encoded.prompt.length, end: ids.length }] };
}

interface Fitted {
  prompt: Int32Array;
  completions: Int32Array[];
}

/** A prompt with its completions in at most `maxLength` tokens each. */
function fit(
  { prompt, completions, numStart }: { prompt: number[]; completions: number[][]; numStart: number },
  { maxLength, truncate = 'keepStart' }: TokenizeOptions,
): Fitted | Skipped {
  const longest = Math.max(...completions.map(({ length }) => length));
  if (truncate === 'keepEnd' && prompt.length + longest > maxLength) {
    const room = maxLength - longest - numStart;
    if (room < 1) return { skipped: 'completion fills maxLength' };
    const kept = [...prompt.slice(0, numStart), ...prompt.slice(-room)];
    return { prompt: Int32Array.from(kept), completions: completions.map((ids) => Int32Array.from(ids)) };
  }
  if (prompt.length >= maxLength) return { skipped: 'prompt fills maxLength' };
  return {
    prompt: Int32Array.from(prompt),
    completions: completions.map((ids) => Int32Array.from(ids.slice(0, maxLength - prompt.length))),
  };
}

const placeOf = ({ index, line, file }: RowPlace): RowPlace => ({ index, line, file });

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
