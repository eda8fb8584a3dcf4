/** Rows under one model, and how far another one is from it on them. */
import {
  type Group,
  loadPreferenceRows,
  loadRows,
  type ModelPlace,
  pairGroup,
  sourceRecords,
  type TokenizedText,
  tokenizePairs,
  tokenizeRows,
} from '../data/index.js';
import { FormatError, UserError } from '../errors.js';
import type { HubOptions } from '../hub/index.js';
import { chooseDevice } from '../models/device.js';
import { ModelLoader } from '../models/model-loader.js';
import { scoreCompletions } from '../models/score-completions.js';
import { requireVocabulary } from '../models/score-pairs.js';
import { type RowText, type RowTextOptions, rowText } from './row-text.js';

export interface ScoredRowsOptions extends RowTextOptions, HubOptions {
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
}

export interface ScoredRows {
  /** How many completions were scored: both of a pair, one of a text. */
  completions: number;
  /** The largest difference of log p(completion | prompt) under another model with the same tokenizer, nats. */
  differenceTo(other: ModelPlace): Promise<number>;
}

/**
 * Scores the rows of files with a model, in fp32: preference pairs, or texts to be imitated. Rows become tokens as in
 * `score`. Errors: UserError, FormatError.
 */
export async function scoredRows(
  place: ModelPlace,
  files: readonly string[],
  options: ScoredRowsOptions = {},
): Promise<ScoredRows> {
  const text = await rowText([place], options);
  const rows = await tokenRows(files, text, options);
  const groups = rows.map((row) => ('chosen' in row ? pairGroup(row) : textGroup(row)));
  const scoresOf = async (model: ModelPlace) => {
    using loader = new ModelLoader({ dtype: 'float32', device: chooseDevice(options.device) });
    using loaded = await loader.load(model);
    requireVocabulary(loaded, rows);
    return (await scoreCompletions(loaded, groups, { tokensPerMicroBatch: 16384, signal: options.signal })).flat();
  };
  const own = await scoresOf(place);
  return {
    completions: own.length,
    async differenceTo(other) {
      const theirs = await scoresOf(other);
      return own.reduce((most, score, i) => Math.max(most, Math.abs(score - theirs[i]!)), 0);
    },
  };
}

const textGroup = ({ prompt, completion, scored }: TokenizedText): Group => {
  return { prompt, completions: [completion], scored: [scored] };
};

async function tokenRows(files: readonly string[], { tokenizer, tokenize, format }: RowText, options: HubOptions) {
  const { onNote } = options;
  try {
    const pairs = await loadPreferenceRows(files, { format, onNote });
    return required(tokenizePairs(pairs, tokenizer, tokenize).pairs, files);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    const texts = await loadRows('sft', sourceRecords([...files]), { onNote }).catch(() => {
      throw cause;
    });
    return required(tokenizeRows('sft', texts, tokenizer, tokenize).rows, files);
  }
}

function required<Row>(rows: readonly Row[], files: readonly string[]): readonly Row[] {
  if (rows.length > 0) return rows;
  throw new UserError(`no row of ${files.join(', ')} can be scored`);
}
