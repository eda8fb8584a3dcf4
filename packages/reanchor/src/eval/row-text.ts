/**
 * How rows become tokens where models are measured on them: as they did in the run that left one, unless told
 * otherwise.
 */
import { resolve } from 'node:path';
import {
  folderOf,
  kindOf,
  loadPreferenceRows,
  type ModelPlace,
  type PreferenceRow,
  placeOfRun,
  type RowFormat,
  type SkipReport,
  Source,
  type TokenizedPair,
  type TokenizeOptions,
  tokenizePairs,
} from '../data/index.js';
import { UserError } from '../errors.js';
import type { HubOptions } from '../hub/index.js';
import { tokenRows } from '../planning/token-rows.js';
import { localTimeOf, type RunText, runTextOfModel, runTextOfModels } from '../runs/index.js';
import { loadChatTemplate, loadTokenizer, type Tokenizer } from '../text/index.js';
import { requireSameTokens } from './same-tokens.js';

export interface RowTextOptions {
  /** Tokens of prompt and completion together. Default: that of the run, else 1024. */
  maxLength?: number | undefined;
  /** Default: that of the run, where it is trained on pairs; else auto. */
  format?: RowFormat | undefined;
  /** Keep pairs whose two completions are identical too. Default: as the run did, else not. */
  keepIdentical?: boolean | undefined;
  /** As in a recipe; `none`: texts stay as they are. Default: that of the run, else none. */
  chatTemplate?: string | undefined;
}

/** `now` is the moment that templates tell where no run says another one. */
type Given = RowTextOptions & HubOptions & { now?: Date | undefined };

export interface RowText {
  /** The folder whose tokenizer it is: that of the run, else of the first model. */
  folder: string;
  tokenizer: Tokenizer;
  format: RowFormat;
  tokenize: TokenizeOptions;
  /** The same as plain values, for results. */
  settings: { maxLength: number; format: RowFormat; keepIdentical: boolean; chatTemplate: string };
}

/**
 * What rows become tokens by, for models at `places`: that of `run`, by default of the first of them that a run left.
 * `onNote` hears what is taken from it. Errors: those of `loadChatTemplate`, and of a run folder that is broken.
 */
export async function rowText(
  places: readonly [ModelPlace, ...ModelPlace[]],
  given: Given,
  run: RunText | undefined = runTextOfModels(places.map(folderOf), given.onNote),
): Promise<RowText> {
  const text = await textOf(await placeOfRun(run, places, given), given, run);
  if (run) given.onNote?.(noteOf(run, text));
  return text;
}

async function textOf(place: ModelPlace, given: Given, run: RunText | undefined): Promise<RowText> {
  const tokenizer = await loadTokenizer(place);
  const data = run?.recipe.data;
  const chatTemplate = given.chatTemplate ?? run?.chatTemplate ?? 'none';
  // That of texts, or of labelled answers, says nothing of pairs.
  const format = given.format ?? (run && kindOf(run.recipe) === 'pairs' ? run.recipe.data.format : 'auto');
  const maxLength = given.maxLength ?? data?.maxLength ?? 1024;
  const keepIdentical = given.keepIdentical ?? data?.keepIdentical ?? false;
  const tokenize = {
    maxLength,
    keepIdentical,
    truncate: data?.truncate,
    loss: data?.loss === 'assistant' ? data.loss : undefined,
    now: run?.now ?? given.now,
    chatTemplate: chatTemplate === 'none' ? undefined : await loadChatTemplate(chatTemplate, tokenizer, 'chatTemplate'),
  };
  const settings = { maxLength, format, keepIdentical, chatTemplate };
  return { folder: folderOf(place), tokenizer, format, tokenize, settings };
}

function noteOf({ run }: RunText, { settings, tokenize: { truncate, loss, chatTemplate, now } }: RowText): string {
  const { maxLength, format, chatTemplate: choice } = settings;
  const parts = [
    choice === 'none' ? 'no chat template for plain text' : `chat template ${shown(choice)}`,
    `maxLength ${maxLength}`,
    `format ${format}`,
    truncate === 'keepEnd' && `truncate ${truncate}`,
    loss && `loss ${loss}`,
    chatTemplate?.usesDate && `date ${localTimeOf(now!).slice(0, 10)}`,
  ];
  return `rows as in ${run}: ${parts.filter(Boolean).join(', ')}`;
}

function shown(choice: string): string {
  if (choice === 'model') return "the run's own";
  return choice.length > 40 ? `${choice.slice(0, 40)}...` : choice;
}

/**
 * The pairs of files as tokens, from the cache where they have been read before, and a report on all rows. `onNote`
 * hears what is to be said of them. Errors: those of `tokenRows`.
 */
export async function pairsOfFiles(
  files: readonly string[],
  { tokenizer, tokenize, format }: RowText,
  { onNote, signal, clock, now = new Date() }: HubOptions & { now?: Date | undefined },
): Promise<{ pairs: TokenizedPair[]; report: SkipReport }> {
  const read = await tokenRows<'pairs'>([new Source(files.join(', '), files)], {
    ...{ kind: 'pairs', tokenizer, tokenize: { ...tokenize, now: tokenize.now ?? now }, hub: { signal, clock } },
    ...{ limit: undefined, data: { format, checkRows: true }, isKept: true },
  });
  for (const note of read.notes) onNote?.(note);
  const { rows, report } = read.file.select();
  return { pairs: [...rows], report };
}

/**
 * Makes sure that the tokenizer of the model at `place` gives the tokens of `pairs`, by the first of them. Errors:
 * UserError.
 */
export async function requireTokensOf(
  { folder: ours, tokenizer, tokenize, format }: RowText,
  files: readonly string[],
  pairs: readonly TokenizedPair[],
  place: ModelPlace,
): Promise<void> {
  if (resolve(folderOf(place)) === resolve(ours)) return;
  const indices = new Set(pairs.slice(0, 32).map(({ index }) => index));
  const first = await loadPreferenceRows(files, { format, limit: Math.max(...indices) + 1 });
  const sample = first.filter(({ index }) => indices.has(index));
  const idsOf = (one: Tokenizer) => pairIds(tokenizePairs(sample, one, tokenize).pairs);
  await requireSameTokens(place, tokenizer, idsOf, `${ours}: log-probabilities of other tokens cannot be compared`);
}

const pairIds = (pairs: readonly TokenizedPair[]) =>
  pairs.map(({ index, prompt, chosen, rejected }) => [index, prompt, chosen, rejected].join()).join(';');

/**
 * Makes sure that the runs of all models at `places` make the same tokens of rows, as far as options can decide it: a
 * number of each model is of tokens that it knows. Errors: UserError that says what differs.
 */
export async function requireOneText(
  places: readonly ModelPlace[],
  given: Given,
  text: RowText,
  rows: readonly PreferenceRow[],
): Promise<void> {
  const runs = places.flatMap((place) => {
    const run = runTextOfModel(folderOf(place));
    return run ? [[run.run, { run, place }] as const] : [];
  });
  const [first, ...others] = new Map(runs).values();
  for (const { run: other, place } of others) {
    const theirs = await textOf(place, given, other);
    const { maxLength, keepIdentical, chatTemplate } = theirs.tokenize;
    const tokenize = { ...text.tokenize, maxLength, keepIdentical, chatTemplate };
    const [ours, found] = [text, { ...theirs, tokenize }].map(({ tokenizer, tokenize: how }) =>
      pairIds(tokenizePairs(rows, tokenizer, how).pairs),
    );
    if (ours === found) continue;
    const keys = ['chatTemplate', 'maxLength', 'keepIdentical'] as const;
    const differing = keys.filter((key) => text.settings[key] !== theirs.settings[key]);
    const what = differing.map(
      (key) => `${key} ${shown(String(text.settings[key]))} and ${shown(String(theirs.settings[key]))}`,
    );
    const deciding = differing.length > 0 ? differing : ['chatTemplate'];
    throw new UserError(
      (option) =>
        `${first!.run.run} and ${other.run} make other tokens of these rows (${what.join('; ') || 'by their chat templates'}): say which with ${deciding.map(option).join(', ')}`,
    );
  }
}
