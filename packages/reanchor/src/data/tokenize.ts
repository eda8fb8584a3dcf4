/** From rows of text to token ids, as TRL does it for plain text; rows that cannot be scored are reported. */
import { UserError } from '../errors.js';
import type { Tokenizer } from '../text/tokenizer.js';
import type { PreferenceRow, RowPlace, SkipReason } from './rows.js';

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
  /** Tokens of prompt and completion together; what a completion has beyond is cut off. */
  maxLength: number;
  /** Keep pairs whose completions are the same tokens, or become so when cut; TRL does. */
  keepIdentical?: boolean | undefined;
}

/** What became of the rows of an input. */
export interface SkipReport {
  total: number;
  kept: number;
  /** The rows that were left out. */
  byReason: Map<SkipReason, RowPlace[]>;
  /** The rows that were kept although a token straddles the border of their prompt. */
  boundaryMismatches: RowPlace[];
}

/**
 * A row as token ids, or why it cannot be used.
 *
 * The EOS string is appended to each completion that does not end with it. The prompt is tokenised alone and with each
 * completion; the completion's ids are those of the joint text after as many as the prompt alone has. Special tokens
 * that the tokenizer adds (BOS) are part of the prompt. Source: TRL's DPOTrainer. Other than there, completions that
 * are empty but for white space are skipped, and so are identical pairs unless `keepIdentical`.
 *
 * Errors: UserError for a tokenizer without EOS token.
 */
export function tokenizePair(
  row: PreferenceRow,
  tokenizer: Tokenizer,
  { maxLength, keepIdentical = false }: TokenizeOptions,
): TokenizedPair | { skipped: SkipReason } {
  const { index, line, file } = row;
  if (row.skipped !== undefined) return { skipped: row.skipped };
  const eos = tokenizer.eosToken;
  if (eos === undefined) {
    throw new UserError(
      'the tokenizer has no EOS token, which ends each completion: set eos_token in tokenizer_config.json',
    );
  }
  const completions = [row.chosen, row.rejected].map((text) =>
    text.endsWith(eos) ? text.slice(0, -eos.length) : text,
  );
  if (completions.some((text) => text.trim() === '')) return { skipped: 'empty completion' };

  const prompt = tokenizer.encode(row.prompt);
  if (prompt.length >= maxLength) return { skipped: 'prompt fills maxLength' };
  const [chosen, rejected] = completions.map((text) => {
    const joint = tokenizer.encode(row.prompt + text + eos);
    const isCleanCut = prompt.every((id, i) => joint[i] === id);
    return { ids: Int32Array.from(joint.slice(prompt.length, maxLength)), isCleanCut };
  }) as [Side, Side];
  // A token over the end of the prompt can leave nothing after as many tokens as the prompt alone has.
  if (chosen.ids.length === 0 || rejected.ids.length === 0) return { skipped: 'empty completion' };
  if (!keepIdentical && isEqual(chosen.ids, rejected.ids)) return { skipped: 'identical pair' };
  return {
    index,
    line,
    file,
    prompt: Int32Array.from(prompt),
    chosen: chosen.ids,
    rejected: rejected.ids,
    boundaryMismatch: !(chosen.isCleanCut && rejected.isCleanCut),
  };
}

interface Side {
  ids: Int32Array;
  isCleanCut: boolean;
}

/** The usable pairs of rows in their order, and a report on the others. Errors: those of {@link tokenizePair}. */
export function tokenizePairs(
  rows: Iterable<PreferenceRow>,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): { pairs: TokenizedPair[]; report: SkipReport } {
  const pairs: TokenizedPair[] = [];
  const report: SkipReport = { total: 0, kept: 0, byReason: new Map(), boundaryMismatches: [] };
  for (const row of rows) {
    report.total++;
    const pair = tokenizePair(row, tokenizer, options);
    const { index, line, file } = row;
    if ('skipped' in pair) {
      const places = report.byReason.get(pair.skipped) ?? [];
      places.push({ index, line, file });
      report.byReason.set(pair.skipped, places);
    } else {
      pairs.push(pair);
      if (pair.boundaryMismatch) report.boundaryMismatches.push({ index, line, file });
    }
  }
  report.kept = pairs.length;
  return { pairs, report };
}

/**
 * A report in lines for people: how many rows were left out, why, and where the first of them are; empty if all is
 * well.
 */
export function describeSkips(report: SkipReport): string[] {
  const { total, byReason } = report;
  const skips = [...byReason].map(
    ([reason, rows]) => `skipped ${rows.length} of ${total} rows, ${reason}: ${places(rows)}`,
  );
  return [...skips, ...describeBoundaryMismatches(report)];
}

/** A line for people about the rows in which a token straddles the end of the prompt, if there are any. */
export function describeBoundaryMismatches({ kept, boundaryMismatches: rows }: SkipReport): string[] {
  if (rows.length === 0) return [];
  return [`kept ${rows.length} of ${kept} rows in which a token straddles the end of the prompt: ${places(rows)}`];
}

function places(rows: readonly RowPlace[]): string {
  const first = rows.slice(0, 3).map(({ file, line }) => `${file}:${line}`);
  return rows.length > first.length ? `${first.join(', ')} and ${rows.length - first.length} more` : first.join(', ');
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
