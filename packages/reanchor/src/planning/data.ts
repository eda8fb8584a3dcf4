import {
  addReport,
  type DataKind,
  describeSkips,
  kindOf,
  loadRows,
  type RowOf,
  type RowPlace,
  resolveSources,
  type SkipReport,
  type Source,
  type SourceShare,
  type Split,
  splitRows,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
  type TokenizeOptions,
  tokenizeRows,
} from '../data/index.js';
import { UserError } from '../errors.js';
import { isRecord } from '../formats/index.js';
import type { HubOptions } from '../hub/index.js';
import type { Recipe } from '../recipe/index.js';
import { localTimeOf, recipeDate } from '../runs/index.js';
import type { Tokenizer } from '../text/index.js';
import { type ChatTemplate, loadChatTemplate, modelChatTemplate } from '../text/index.js';
import { unlessStopped } from './unless-stopped.js';

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

/** A name in data.train, and its weight. */
interface Entry {
  source: string;
  weight: number;
}

interface Rows<Kind extends DataKind, Row> {
  kind: Kind;
  train: Row[];
  validation: Row[];
  /** The rows of each source among `train`, in their order, with its weight. */
  shares: SourceShare[];
  /** The chat template that rows go through, if one does. */
  template: ChatTemplate | undefined;
  report: DataReport;
}

/** The rows a recipe trains and evaluates on, of the kind that its method needs. */
export type RecipeData = Rows<'pairs', TokenizedPair> | Rows<'unpaired', TokenizedExample> | Rows<'sft', TokenizedText>;

export interface RecipeDataOptions extends HubOptions {
  /** The moment that chat templates tell as now, unless the recipe says which day (`data.date`). Default: now. */
  now?: Date | undefined;
  /** Hears the chat template that `data.chatTemplate` names before rows go through it. */
  onChatTemplate?: ((template: ChatTemplate) => void) | undefined;
}

/**
 * Reads and tokenises the rows that `data:` of a recipe names. Errors: UserError when nothing is left to train on, or a
 * name means nothing; FormatError.
 */
export async function recipeData(
  recipe: Recipe,
  tokenizer: Tokenizer,
  options: RecipeDataOptions = {},
): Promise<RecipeData> {
  const kind = kindOf(recipe);
  return { kind, ...(await rowsOf(kind, recipe, tokenizer, options)) } as RecipeData;
}

/** A source's part of the rows: their indices, from `start` on. */
interface SourceRows {
  source: Source;
  weight: number;
  start: number;
  end: number;
}

async function rowsOf<Kind extends DataKind>(
  kind: Kind,
  recipe: Recipe,
  tokenizer: Tokenizer,
  { now = new Date(), onChatTemplate, ...hub }: RecipeDataOptions,
) {
  const { data, seed } = recipe;
  const { maxLength, keepIdentical, validation, truncate, loss } = data;
  const chatTemplate =
    data.chatTemplate === undefined ? undefined : await loadChatTemplate(data.chatTemplate, tokenizer);
  if (chatTemplate) onChatTemplate?.(chatTemplate);
  const notes: string[] = [];
  const load = (names: Recipe['data']['train'], split: Split, limit?: number) =>
    loadSources(kind, [names].flat().map(entryOf), { split, limit, data, hub, notes });
  const { rows: texts, sources } = await load(data.train, 'train', data.limit);
  if (typeof validation === 'number' && validation >= texts.length) {
    throw new UserError(
      `data.validation holds out ${validation} rows, but data.train has ${texts.length}: hold out fewer, or name a file`,
    );
  }
  const heldOut = new Set(typeof validation === 'number' ? splitRows(texts.length, validation, seed) : []);
  const { rows: validationTexts, sources: validationSources } =
    typeof validation === 'number' || validation === undefined
      ? { rows: texts.filter((_, i) => heldOut.has(i)), sources: [] }
      : await load(validation, 'validation');
  const day = recipeDate(recipe) ?? now;
  const options = { maxLength, keepIdentical, truncate, chatTemplate, loss, now: day };
  const kept = texts.filter((_, i) => !heldOut.has(i));
  const train = await tokenized(kind, kept, tokenizer, { ...options, signal: hub.signal });
  const unlike = { ...options, keepIdentical: false, signal: hub.signal };
  const evaluated = await tokenized(kind, validationTexts, tokenizer, unlike);
  const used = [
    ['data.train', train] as const,
    ...(validation === undefined ? [] : [['data.validation', evaluated] as const]),
  ];
  for (const [what, { rows, report }] of used) {
    if (rows.length === 0)
      throw new UserError([`${what}: no row is left of ${report.total}`, ...describeSkips(report)].join('\n'));
  }
  const own = texts.some(({ prompt }) => typeof prompt !== 'string') && tokenizer.chatTemplate !== undefined;
  const template = chatTemplate ?? (own ? modelChatTemplate(tokenizer) : undefined);
  if (template?.usesDate) {
    notes.push(
      `the chat template may write the date, which is ${localTimeOf(day).slice(0, 10)} in this run; data.date sets another`,
    );
  }
  notes.push(...sourceNotes(sources, train.rows), ...sourceNotes(validationSources, evaluated.rows));
  const report: DataReport = {
    skips: [train.report, evaluated.report],
    notes,
    characters: [...texts, ...validationTexts].reduce((sum, row) => sum + charactersOf(row), 0),
    emptyPromptTokens: tokenizer.encode('').length,
  };
  const shares = sources.map((source) => ({ rows: rowsFrom(source, train.rows).length, weight: source.weight }));
  return { train: train.rows, validation: evaluated.rows, shares, template, report };
}

/** Rows that are tokenised between two turns of the event loop. */
const rowsAtOnce = 256;

/** As `tokenizeRows`, which it calls piece by piece. Errors: also the signal's reason once it is aborted. */
async function tokenized<Kind extends DataKind>(
  kind: Kind,
  rows: readonly RowOf[Kind][],
  tokenizer: Tokenizer,
  { signal, ...options }: TokenizeOptions & { signal: AbortSignal | undefined },
): Promise<ReturnType<typeof tokenizeRows<Kind>>> {
  const all = tokenizeRows(kind, rows.slice(0, rowsAtOnce), tokenizer, options);
  for (let from = rowsAtOnce; from < rows.length; from += rowsAtOnce) {
    await unlessStopped(signal);
    const next = tokenizeRows(kind, rows.slice(from, from + rowsAtOnce), tokenizer, options);
    all.rows.push(...next.rows);
    addReport(all.report, next.report);
  }
  return all;
}

/** The records of a source, until the signal is aborted. Errors: its reason then. */
async function* unstopped<Item>(items: AsyncIterable<Item>, signal: AbortSignal | undefined): AsyncGenerator<Item> {
  for await (const item of items) {
    signal?.throwIfAborted();
    yield item;
  }
}

/** The characters of a row's texts, and of those in its lists, such as messages. */
function charactersOf(row: object): number {
  return Object.values(row).reduce<number>((sum, value: unknown) => {
    if (typeof value === 'string') return sum + value.length;
    if (!Array.isArray(value)) return sum;
    return sum + value.filter(isRecord).reduce((n, message) => n + charactersOf(message), 0);
  }, 0);
}

interface LoadOptions {
  split: Split;
  /** Records that are read at most, over all sources. */
  limit: number | undefined;
  data: Recipe['data'];
  hub: HubOptions;
  notes: string[];
}

/** The rows of sources in their order, numbered through, and which of them are whose. */
async function loadSources<Kind extends DataKind>(
  kind: Kind,
  entries: readonly Entry[],
  { split, limit, data, hub, notes }: LoadOptions,
) {
  const rows: RowOf[Kind][] = [];
  const sources: SourceRows[] = [];
  let start = 0;
  const names = entries.map((entry) => entry.source);
  for (const [i, source] of (await resolveSources(names, split, hub)).entries()) {
    const left = limit === undefined ? undefined : limit - start;
    if (left === 0) break;
    if (source.isSft && kind !== 'sft') {
      throw new UserError(
        `${source.name} holds texts to be imitated, for method sft: pairs are those of ${source.name.split(':')[0]}`,
      );
    }
    const onNote = (note: string) => notes.push(note);
    const options = { format: data.format, limit: left, name: source.name, onNote };
    const read = await loadRows(kind, unstopped(source.records(), hub.signal), options);
    for (const row of read) rows.push({ ...row, index: start + row.index });
    const problem = limit === undefined ? source.countProblem() : undefined;
    if (problem && data.checkRows) {
      throw new UserError(
        `${problem}: fetch its files again, or set data.checkRows to false to use a part of them, or another version`,
      );
    }
    if (problem) notes.push(problem);
    const end = (rows.at(-1)?.index ?? start - 1) + 1;
    sources.push({ source, weight: entries[i]!.weight, start, end });
    start = end;
  }
  return { rows, sources };
}

/** What is to be said of sources, with the number of their rows that are used. */
function sourceNotes(sources: readonly SourceRows[], used: readonly RowPlace[]): string[] {
  // KTO makes two examples of a pair, which was one row.
  return sources.flatMap((source) => source.source.note(new Set(rowsFrom(source, used)).size) ?? []);
}

/** The indices of a source's rows among some. */
const rowsFrom = ({ start, end }: SourceRows, rows: readonly RowPlace[]) =>
  rows.map(({ index }) => index).filter((index) => index >= start && index < end);

const entryOf = (entry: string | Entry): Entry => (typeof entry === 'string' ? { source: entry, weight: 1 } : entry);
