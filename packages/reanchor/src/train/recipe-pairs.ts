import {
  describeSkips,
  loadPreferenceRows,
  type SkipReport,
  splitRows,
  type TokenizedPair,
  tokenizePairs,
} from '../data/index.js';
import { UserError } from '../errors.js';
import type { Recipe } from '../runs/index.js';
import type { Tokenizer } from '../text/tokenizer.js';

/** The pairs a recipe trains on, those it evaluates on, and the rows of both that cannot be used. */
export interface RecipePairs {
  train: TokenizedPair[];
  validation: TokenizedPair[];
  reports: SkipReport[];
  /** The tokens of an empty prompt: 1 where the tokenizer puts BOS in front. */
  emptyPromptTokens: number;
}

/**
 * Reads and tokenises the rows that `data:` of a recipe names. Errors: UserError when nothing is left to train on;
 * FormatError.
 */
export async function recipePairs({ data, seed }: Recipe, tokenizer: Tokenizer): Promise<RecipePairs> {
  const { format, maxLength, keepIdentical, limit, validation } = data;
  const rows = await loadPreferenceRows(list(data.train), { format, limit });
  if (typeof validation === 'number' && validation >= rows.length) {
    throw new UserError(
      `data.validation holds out ${validation} rows, but data.train has ${rows.length}: hold out fewer, or name a file`,
    );
  }
  const heldOut = new Set(typeof validation === 'number' ? splitRows(rows.length, validation, seed) : []);
  const validationRows =
    typeof validation === 'number' || validation === undefined
      ? rows.filter((_, i) => heldOut.has(i))
      : await loadPreferenceRows(list(validation), { format });

  const train = tokenizePairs(
    rows.filter((_, i) => !heldOut.has(i)),
    tokenizer,
    { maxLength, keepIdentical },
  );
  const evaluated = tokenizePairs(validationRows, tokenizer, { maxLength, keepIdentical: false });
  for (const [what, { pairs, report }] of [
    ['data.train', train],
    ...(validation === undefined ? [] : [['data.validation', evaluated] as const]),
  ] as const) {
    if (pairs.length === 0)
      throw new UserError([`${what}: no pair is left of ${report.total} rows`, ...describeSkips(report)].join('\n'));
  }
  return {
    train: train.pairs,
    validation: evaluated.pairs,
    reports: [train.report, evaluated.report],
    emptyPromptTokens: tokenizer.encode('').length,
  };
}

const list = (paths: string | string[]) => (typeof paths === 'string' ? [paths] : paths);
