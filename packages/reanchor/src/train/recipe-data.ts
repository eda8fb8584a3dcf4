import {
  type DataKind,
  describeSkips,
  loadRows,
  publishedRows,
  resolveSources,
  type SkipReport,
  sourceRecords,
  splitRows,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
  tokenizeRows,
} from '../data/index.js';
import { UserError } from '../errors.js';
import type { Recipe } from '../runs/index.js';
import { loadChatTemplate } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';

/** What became of the rows of a recipe. */
export interface DataReport {
  skips: SkipReport[];
  /** What is worth a warning, in sentences. */
  notes: string[];
  /** The characters of all rows that were read. */
  characters: number;
  /** The tokens of an empty prompt: 1 where the tokenizer puts BOS in front. */
  emptyPromptTokens: number;
}

interface Rows<Kind extends DataKind, Row> {
  kind: Kind;
  train: Row[];
  validation: Row[];
  report: DataReport;
}

/** The rows a recipe trains and evaluates on, of the kind that its method needs. */
export type RecipeData = Rows<'pairs', TokenizedPair> | Rows<'unpaired', TokenizedExample> | Rows<'sft', TokenizedText>;

/**
 * Reads and tokenises the rows that `data:` of a recipe names. Errors: UserError when nothing is left to train on, or a
 * name means nothing; FormatError.
 */
export async function recipeData(recipe: Recipe, tokenizer: Tokenizer): Promise<RecipeData> {
  switch (recipe.method) {
    case 'sft':
      return { kind: 'sft', ...(await rowsOf('sft', recipe, tokenizer)) };
    case 'kto':
      return { kind: 'unpaired', ...(await rowsOf('unpaired', recipe, tokenizer)) };
    default:
      return { kind: 'pairs', ...(await rowsOf('pairs', recipe, tokenizer)) };
  }
}

type Split = 'train' | 'validation';

async function rowsOf<Kind extends DataKind>(kind: Kind, { data, seed }: Recipe, tokenizer: Tokenizer) {
  const { format, maxLength, keepIdentical, limit, validation, truncate, loss } = data;
  const chatTemplate =
    data.chatTemplate === undefined ? undefined : await loadChatTemplate(data.chatTemplate, tokenizer);
  const notes: string[] = [];
  const load = async (names: string | string[], split: Split, limit?: number) => {
    const sources = await resolveSources([names].flat(), split);
    const files = sources.flatMap((source) => source.files);
    const rows = await loadRows(kind, sourceRecords(files), { format, limit, name: files.join(', ') });
    notes.push(...sources.flatMap((source) => source.notes));
    if (limit === undefined)
      notes.push(...countNotes([names].flat(), split, new Set(rows.map((row) => `${row.file}:${row.line}`)).size));
    return rows;
  };
  const texts = await load(data.train, 'train', limit);
  if (typeof validation === 'number' && validation >= texts.length) {
    throw new UserError(
      `data.validation holds out ${validation} rows, but data.train has ${texts.length}: hold out fewer, or name a file`,
    );
  }
  const heldOut = new Set(typeof validation === 'number' ? splitRows(texts.length, validation, seed) : []);
  const validationTexts =
    typeof validation === 'number' || validation === undefined
      ? texts.filter((_, i) => heldOut.has(i))
      : await load(validation, 'validation');
  const options = { maxLength, keepIdentical, truncate, chatTemplate, loss };
  const kept = texts.filter((_, i) => !heldOut.has(i));
  const train = tokenizeRows(kind, kept, tokenizer, options);
  const evaluated = tokenizeRows(kind, validationTexts, tokenizer, { ...options, keepIdentical: false });
  const used = [
    ['data.train', train] as const,
    ...(validation === undefined ? [] : [['data.validation', evaluated] as const]),
  ];
  for (const [what, { rows, report }] of used) {
    if (rows.length === 0)
      throw new UserError([`${what}: no row is left of ${report.total}`, ...describeSkips(report)].join('\n'));
  }
  const report: DataReport = {
    skips: [train.report, evaluated.report],
    notes,
    characters: [...texts, ...validationTexts].reduce((sum, row) => sum + charactersOf(row), 0),
    emptyPromptTokens: tokenizer.encode('').length,
  };
  return { train: train.rows, validation: evaluated.rows, report };
}

/** The characters of a row's texts, and of its messages. */
function charactersOf(row: object): number {
  return Object.values(row).reduce<number>((sum, value: unknown) => {
    if (typeof value === 'string') return sum + value.length;
    return Array.isArray(value) ? sum + value.reduce((n, message) => n + charactersOf(message), 0) : sum;
  }, 0);
}

/** A published data set that has other rows than when it was published is worth a warning: is it a part, or another? */
function countNotes(names: readonly string[], split: Split, found: number): string[] {
  const expected = names.map((name) => publishedRows(name, split));
  if (expected.some((count) => count === undefined)) return [];
  const total = expected.reduce<number>((sum, count) => sum + count!, 0);
  if (total === found) return [];
  return [`${names.join(', ')}: ${found} rows were read of the ${split} split; ${total} are published`];
}
