import {
  type DataKind,
  describeSkips,
  kindOf,
  type Rows,
  resolveSources,
  type SkipReport,
  type Source,
  type SourceShare,
  type Split,
  splitRows,
  type TokenizedOf,
} from '../data/index.js';
import { UserError } from '../errors.js';
import type { HubOptions } from '../hub/index.js';
import type { Recipe } from '../recipe/index.js';
import { localTimeOf, recipeDate } from '../runs/index.js';
import { type ChatTemplate, loadChatTemplate, modelChatTemplate, type Tokenizer } from '../text/index.js';
import type { SelectedRows } from '../tokens/index.js';
import { type ReadingProgress, type SourceRows, tokenRows } from './token-rows.js';

/** What became of the rows of a recipe. */
export interface DataReport {
  skips: SkipReport[];
  /** What is worth a warning, in sentences. */
  notes: string[];
  /** The tokens of an empty prompt: 1 where the tokenizer puts BOS in front. */
  emptyPromptTokens: number;
}

/** A name in data.train, and its weight. */
interface Entry {
  source: string;
  weight: number;
}

interface RowsOf<Kind extends DataKind> {
  kind: Kind;
  train: Rows<TokenizedOf[Kind]>;
  validation: TokenizedOf[Kind][];
  /** The rows of each source among `train`, in their order, with its weight. */
  shares: SourceShare[];
  /** The chat template that rows go through, if one does. */
  template: ChatTemplate | undefined;
  report: DataReport;
}

/** The rows a recipe trains and evaluates on, of the kind that its method needs. */
export type RecipeData = RowsOf<'pairs'> | RowsOf<'unpaired'> | RowsOf<'sft'>;

export interface RecipeDataOptions extends HubOptions {
  /** The moment that chat templates tell as now, unless the recipe says which day (`data.date`). Default: now. */
  now?: Date | undefined;
  /** Hears the chat template that `data.chatTemplate` names before rows go through it. */
  onChatTemplate?: ((template: ChatTemplate) => void) | undefined;
  /** Hears how far the reading of rows is, where they are not in the cache. */
  onReading?: ((progress: ReadingProgress) => void) | undefined;
  /** Whether rows that were made tokens are kept in the cache. Default: true. */
  isKept?: boolean | undefined;
}

/**
 * The rows that `data:` of a recipe names as tokens: read, or where they have been read before, from the cache. Errors:
 * UserError when nothing is left to train on, or a name means nothing; FormatError.
 */
export async function recipeData(
  recipe: Recipe,
  tokenizer: Tokenizer,
  options: RecipeDataOptions = {},
): Promise<RecipeData> {
  const kind = kindOf(recipe);
  return { kind, ...(await rowsOf(kind, recipe, tokenizer, options)) } as RecipeData;
}

async function rowsOf<Kind extends DataKind>(
  kind: Kind,
  recipe: Recipe,
  tokenizer: Tokenizer,
  { now = new Date(), onChatTemplate, ...options }: RecipeDataOptions,
) {
  const { data } = recipe;
  const chatTemplate =
    data.chatTemplate === undefined ? undefined : await loadChatTemplate(data.chatTemplate, tokenizer);
  if (chatTemplate) onChatTemplate?.(chatTemplate);
  const day = recipeDate(recipe) ?? now;
  const entries = [data.train].flat().map(entryOf);
  const { train, validation } = await readSplits(kind, recipe, entries, { ...options, tokenizer, chatTemplate, day });
  const used = [['data.train', train] as const, ...(validation ? [['data.validation', validation] as const] : [])];
  for (const [what, { rows, report }] of used) {
    if (rows.length === 0)
      throw new UserError([`${what}: no row is left of ${report.total}`, ...describeSkips(report)].join('\n'));
  }
  const own = train.read.hasChats && tokenizer.chatTemplate !== undefined;
  const template = chatTemplate ?? (own ? modelChatTemplate(tokenizer) : undefined);
  const files = validation && validation.read !== train.read ? [train, validation] : [train];
  const notes = files.flatMap(({ read }) => read.notes);
  if (template?.usesDate) {
    notes.push(
      `the chat template may write the date, which is ${localTimeOf(day).slice(0, 10)} in this run; data.date sets another`,
    );
  }
  notes.push(...files.flatMap(({ read, rows }) => sourceNotes(read.sources, rows)));
  const report: DataReport = {
    skips: used.map(([, { report }]) => report),
    notes,
    emptyPromptTokens: tokenizer.encode('').length,
  };
  const shares = rowsOfEach(train.read.sources, train.rows).map((rows, i) => {
    return { rows: rows.length, weight: entries[i]!.weight };
  });
  return { train: train.rows, validation: [...(validation?.rows ?? [])], shares, template, report };
}

interface SplitOptions extends Pick<RecipeDataOptions, 'onReading' | 'isKept'>, HubOptions {
  tokenizer: Tokenizer;
  chatTemplate: ChatTemplate | undefined;
  day: Date;
}

/** The rows that are trained on, and those that are evaluated on: of other files, or held out. */
async function readSplits<Kind extends DataKind>(
  kind: Kind,
  { data, seed }: Recipe,
  entries: readonly Entry[],
  { tokenizer, chatTemplate, day, onReading, isKept = true, ...hub }: SplitOptions,
) {
  const { maxLength, truncate, loss, validation, limit, keepIdentical } = data;
  const read = async (
    named: readonly Entry[],
    split: Split,
    { most, keeps }: { most?: number | undefined; keeps: boolean },
  ) => {
    const tokenize = { maxLength, truncate, chatTemplate, loss, now: day, keepIdentical: keeps };
    const names = named.map(({ source }) => source);
    const sources = requireKind(kind, await resolveSources(names, split, hub));
    const options = { kind, tokenizer, tokenize, limit: most, data, hub, onProgress: onReading, isKept };
    return tokenRows<Kind>(sources, options);
  };
  const all = await read(entries, 'train', { most: limit, keeps: keepIdentical });
  if (typeof validation !== 'number') {
    const train = { read: all, ...all.file.select() };
    if (validation === undefined) return { train, validation: undefined };
    const others = await read([validation].flat().map(entryOf), 'validation', { keeps: false });
    return { train, validation: { read: others, ...others.file.select() } };
  }
  const { total } = all.file.head;
  if (validation >= total) {
    throw new UserError(
      `data.validation holds out ${validation} rows, but data.train has ${total}: hold out fewer, or name a file`,
    );
  }
  const heldOut = new Set(splitRows(total, validation, seed));
  // Pairs that are identical are evaluated on in no case.
  const evaluated = keepIdentical ? await read(entries, 'train', { most: limit, keeps: false }) : all;
  return {
    train: { read: all, ...all.file.select((ordinal) => !heldOut.has(ordinal)) },
    validation: { read: all, ...evaluated.file.select((ordinal) => heldOut.has(ordinal)) },
  };
}

/** Errors: UserError for a source without rows of the kind. */
function requireKind(kind: DataKind, sources: readonly Source[]): readonly Source[] {
  for (const { name, isSft } of sources) {
    if (!isSft || kind === 'sft') continue;
    throw new UserError(`${name} holds texts to be imitated, for method sft: pairs are those of ${name.split(':')[0]}`);
  }
  return sources;
}

/** What is to be said of sources, with the number of their rows that are used. */
function sourceNotes(sources: readonly SourceRows[], used: SelectedRows<DataKind>): string[] {
  const rows = rowsOfEach(sources, used);
  // KTO makes two examples of a pair, which was one row.
  return sources.flatMap(({ source }, i) => source.note(new Set(rows[i]).size) ?? []);
}

/** The indices of the rows of each source among those that are used. */
function rowsOfEach(sources: readonly SourceRows[], used: SelectedRows<DataKind>): number[][] {
  const found = sources.map((): number[] => []);
  let i = 0;
  for (const index of used.indices()) {
    while (index >= sources[i]!.end) i++;
    found[i]!.push(index);
  }
  return found;
}

const entryOf = (entry: string | Entry): Entry => (typeof entry === 'string' ? { source: entry, weight: 1 } : entry);
