/** From rows of text to token ids, as TRL does it; rows that cannot be used are reported. */
import { isDeepStrictEqual } from 'node:util';
import type { ChatTemplate, Tokenizer } from '../text/index.js';
import { type Answer, type Completion, type EncodedChat, encodeChat, encodeRow, type Skipped } from './encode.js';
import { remarksOf } from './remarks.js';
import type { DataKind, ExampleRow, PreferenceRow, RowOf, RowPlace, SkipReason, TextRow } from './row.js';
import { keepUsable, type SkipReport } from './skips.js';

/** A preference pair as token ids: a prompt and two completions, each followed by EOS unless it was cut. */
export interface TokenizedPair extends RowPlace {
  prompt: Int32Array;
  chosen: Int32Array;
  rejected: Int32Array;
  /** Which tokens of a completion are scored (1) and which only read (0); all when left out. */
  chosenScored?: Uint8Array | undefined;
  rejectedScored?: Uint8Array | undefined;
  /** Whether a text's own tokens do not begin with the prompt's: a token then straddles the border of the prompt. */
  boundaryMismatch: boolean;
}

/** A completion with a label, as token ids. */
export interface TokenizedExample extends RowPlace {
  prompt: Int32Array;
  completion: Int32Array;
  /** The completion before it was cut, as it is lent to other prompts; the same where it is left out. */
  uncut?: Int32Array | undefined;
  /** Which tokens of the completion before it was cut are scored (1) and which only read (0); all when left out. */
  scored?: Uint8Array | undefined;
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
   * for one are skipped; `keepEnd` the start of the prompt, BOS apart, and completions that leave no room for a token
   * of it are skipped. Default: keepStart.
   */
  truncate?: 'keepStart' | 'keepEnd' | undefined;
  /** Keep pairs whose completions are the same tokens, or become so when cut; TRL does. */
  keepIdentical?: boolean | undefined;
  /**
   * The template of all rows: a plain prompt becomes a message of the user, or the turns of its transcript. Left out,
   * plain text stays as it is and chats take the template of the model.
   */
  chatTemplate?: ChatTemplate | undefined;
  /** The moment that templates tell as now. Default: that of the call. */
  now?: Date | undefined;
  /**
   * Which tokens are scored: those of the `completion`, turns of the user in it among them; of every answer of the
   * `assistant` in it, and of a text to be imitated in the whole chat; or of the `full` text to be imitated. Answers
   * that are not to be learnt (`weight: 0`) are never scored. Default: completion.
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
  return keepUsable(
    rows,
    (row) => tokenizers[kind](row, tokenizer, options),
    (row, kept) => remarksOf(row, kept, options),
  );
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
  const encoded = encodeRow(row, [row.chosen, row.rejected], tokenizer, encodingOf(options));
  if ('skipped' in encoded) return encoded;
  const cut = fit(encoded, options);
  if ('skipped' in cut) return cut;
  const [chosen, rejected] = cut.completions as [Scored, Scored];
  if (!options.keepIdentical && isEqual(chosen.ids, rejected.ids)) return { skipped: identical(row, encoded) };
  return {
    ...placeOf(row),
    prompt: cut.prompt,
    chosen: chosen.ids,
    rejected: rejected.ids,
    ...(chosen.scored && { chosenScored: chosen.scored }),
    ...(rejected.scored && { rejectedScored: rejected.scored }),
    boundaryMismatch: !encoded.isCleanCut,
  };
}

/** Why two completions are the same tokens. */
function identical(row: PreferenceRow, { completions }: { completions: readonly Completion[] }): SkipReason {
  const [chosen, rejected] = completions.map(({ ids }) => Int32Array.from(ids)) as [Int32Array, Int32Array];
  if (!isEqual(chosen, rejected)) return 'identical pair once cut at maxLength';
  const isSame = isDeepStrictEqual(row.chosen, row.rejected) || typeof row.chosen === 'string';
  return isSame ? 'identical pair' : 'identical pair as the chat template writes it';
}

/** A completion with a label as token ids, or why it cannot be used. Source: TRL's KTOTrainer. */
export function tokenizeExample(
  row: ExampleRow,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): TokenizedExample | Skipped {
  if (row.skipped !== undefined) return { skipped: row.skipped };
  const encoded = encodeRow(row, [row.completion], tokenizer, encodingOf(options));
  if ('skipped' in encoded) return encoded;
  const cut = fit(encoded, options);
  if ('skipped' in cut) return cut;
  const whole = encoded.completions[0]!;
  const { ids: completion, scored } = cut.completions[0]!;
  return {
    ...placeOf(row),
    prompt: cut.prompt,
    completion,
    ...(whole.ids.length > completion.length ? { uncut: Int32Array.from(whole.ids) } : {}),
    ...(scored && { scored: scoredIds(whole, options)! }),
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
  const isWhole = ({ start }: Answer) => !isCutAtStart || start > numStart + excess;
  const maskOf = (given: readonly Answer[]) => {
    const mask = new Uint8Array(ids.length).fill(isFull ? 1 : 0);
    for (const { start, end, isLearnt } of given) mask.fill(isLearnt ? 1 : 0, start, end);
    return mask;
  };
  if (!maskOf(answers).includes(1)) return notLearnt;
  const cut = <Kind extends number[] | Uint8Array>(all: Kind) =>
    isCutAtStart ? [...all.slice(0, numStart), ...all.slice(numStart + excess)] : [...all.slice(0, maxLength)];
  const kept = cut(ids);
  const scored = Uint8Array.from(cut(maskOf(answers.filter((answer) => isWhole(answer) || !answer.isLearnt))));
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

const notLearnt = { skipped: 'no answer that is to be learnt' } as const;

const tokenizers: {
  [Kind in DataKind]: (row: RowOf[Kind], tokenizer: Tokenizer, options: TokenizeOptions) => TokenizedOf[Kind] | Skipped;
} = { pairs: tokenizePair, unpaired: tokenizeExample, sft: tokenizeText };

/** A text as ids, with the answers in it. */
function encodeText(row: TextRow, tokenizer: Tokenizer, options: TokenizeOptions): EncodedChat | Skipped {
  const isChat = typeof row.prompt !== 'string' || options.chatTemplate !== undefined;
  const { loss = 'completion' } = options;
  if (isChat && row.prompt !== '' && loss !== 'completion') {
    return encodeChat(row, row.completion, tokenizer, { ...encodingOf(options), isOneText: loss === 'full' });
  }
  const encoded = encodeRow(row, [row.completion], tokenizer, encodingOf(options));
  if ('skipped' in encoded) return encoded;
  const { prompt, completions } = encoded;
  const ids = [...prompt, ...completions[0]!.ids];
  const whole = { start: 0, end: completions[0]!.ids.length, isLearnt: true };
  const unlearnt = (completions[0]!.answers ?? []).filter(({ isLearnt }) => !isLearnt);
  const shift = (answer: Answer) => ({
    ...answer,
    start: answer.start + prompt.length,
    end: answer.end + prompt.length,
  });
  return { ...encoded, ids, answers: [whole, ...unlearnt].map(shift) };
}

const encodingOf = ({ chatTemplate, now, loss }: TokenizeOptions) => ({
  template: chatTemplate,
  now,
  findsAnswers: loss === 'assistant',
});

interface Scored {
  ids: Int32Array;
  /** Which of them are scored; all when left out. */
  scored?: Uint8Array | undefined;
}

/** Which ids of a completion are scored; undefined where all are. */
function scoredIds({ ids, answers }: Completion, { loss }: Pick<TokenizeOptions, 'loss'>): Uint8Array | undefined {
  if (answers === undefined) return undefined;
  const isAnswersOnly = loss === 'assistant';
  const scored = new Uint8Array(ids.length).fill(isAnswersOnly ? 0 : 1);
  for (const { start, end, isLearnt } of answers) {
    if (isLearnt === isAnswersOnly) scored.fill(isLearnt ? 1 : 0, Math.max(0, start), Math.max(0, end));
  }
  return scored.includes(0) ? scored : undefined;
}

/** A prompt with its completions in at most `maxLength` tokens each. */
function fit(
  { prompt, completions, numStart }: { prompt: number[]; completions: readonly Completion[]; numStart: number },
  options: TokenizeOptions,
): { prompt: Int32Array; completions: Scored[] } | Skipped {
  const { maxLength, truncate = 'keepStart' } = options;
  const scored = completions.map((completion) => scoredIds(completion, options));
  if (scored.some((mask) => mask && !mask.includes(1))) return notLearnt;
  const longest = Math.max(...completions.map(({ ids }) => ids.length));
  const isCutAtStart = truncate === 'keepEnd' && prompt.length + longest > maxLength;
  if (isCutAtStart && maxLength - longest - numStart < 1) return { skipped: 'completion fills maxLength' };
  if (!isCutAtStart && prompt.length >= maxLength) return { skipped: 'prompt fills maxLength' };
  const kept = isCutAtStart
    ? [...prompt.slice(0, numStart), ...prompt.slice(-(maxLength - longest - numStart))]
    : prompt;
  const cut = completions.map(({ ids }, c) => ({
    ids: Int32Array.from(ids.slice(0, maxLength - kept.length)),
    scored: scored[c]?.slice(0, maxLength - kept.length),
  }));
  if (cut.some(({ scored }) => scored && !scored.includes(1))) return { skipped: 'prompt fills maxLength' };
  return { prompt: Int32Array.from(kept), completions: cut };
}

const placeOf = ({ index, line, file }: RowPlace): RowPlace => ({ index, line, file });

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
