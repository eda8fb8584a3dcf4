/** From raw records to typed rows of text. */
import { FormatError, UserError } from '../errors.js';
import { Fields, isRecord, nameOf } from './fields.js';
import { formsOf, type RowContent, type RowFormName, rowForms } from './forms.js';
import type { DataKind, PreferenceRow, RawRecord, RowOf, RowPlace } from './row.js';
import { sourceRecords } from './sources.js';

/** How rows are written; `auto` decides by the first row of each file. */
export type RowFormat = 'auto' | RowFormName;

export interface RowOptions {
  format?: RowFormat | undefined;
  /** Records that are read at most. */
  limit?: number | undefined;
  /** What the records are of, in the error when there are none. */
  name?: string | undefined;
  /** Hears once a file what is read otherwise than it is written, in sentences. */
  onNote?: ((note: string) => void) | undefined;
}

/**
 * Records as rows of a kind, in order. Pairs become two examples (chosen, then rejected) where examples with a label are
 * asked for, and their chosen completion where texts to be imitated are; of labelled examples these are the desirable
 * ones. The forms are listed in {@link rowForms}; two of them in other words:
 *
 * - `implicit`: the prompt is what chosen and rejected begin with in common, less a space at its end (TRL's rule), or the
 *   messages that they begin with in common;
 * - `hh`: chosen and rejected are whole transcripts, split after the last "\n\nAssistant:".
 *
 * Errors: FormatError with file and line for a row that has not the form, naming the field; UserError when there is no
 * record. Other fields of a row are ignored, and so is its prompt if `format` names a form without one.
 */
export async function* readRows<Kind extends DataKind>(
  kind: Kind,
  records: AsyncIterable<RawRecord>,
  { format = 'auto', limit = Number.POSITIVE_INFINITY, name = 'the data', onNote }: RowOptions = {},
): AsyncGenerator<RowOf[Kind]> {
  const forms = new Map<string, RowFormName>();
  const notes = new Set<string>();
  let index = 0;
  for await (const { file, where, line, value, isText } of records) {
    const wrong = (message: string) => new FormatError(message, { file, where: String(where) });
    if (!isRecord(value)) throw wrong(`the row is ${nameOf(value)}, not an object; ${allowedRows(kind, format)}`);
    const note = (what: string) => {
      const whole = `${file}: ${what}`;
      if (!notes.has(whole)) onNote?.(whole);
      notes.add(whole);
    };
    const fields = new Fields(value, wrong, allowedRows(kind, format), { isText, note });
    const form = format === 'auto' ? (forms.get(file) ?? formOf(fields, kind)) : format;
    forms.set(file, form);
    const content = rowForms[form].parse(fields, format !== 'auto');
    const rows = toKind[kind](content, { index: index++, line, file });
    if (!rows) throw wrong(`the row has no ${missing[kind]} (its form is ${form}); ${allowedRows(kind, 'auto')}`);
    yield* rows;
    if (index >= limit) return;
  }
  if (index === 0) throw new UserError(`${name}: no rows; ${allowedRows(kind, format)}`);
}

/** The rows of {@link readRows} in a list. */
export async function loadRows<Kind extends DataKind>(
  kind: Kind,
  records: AsyncIterable<RawRecord>,
  options: RowOptions = {},
): Promise<RowOf[Kind][]> {
  const rows: RowOf[Kind][] = [];
  for await (const row of readRows(kind, records, options)) rows.push(row);
  return rows;
}

/** The preference rows of files (JSONL, JSON, Parquet): {@link readRows} of kind `pairs`. */
export function readPreferenceRows(
  files: readonly string[],
  { format }: { format?: RowFormat | undefined } = {},
): AsyncGenerator<PreferenceRow> {
  return readRows('pairs', sourceRecords(files), { format, name: files.join(', ') });
}

/** The rows of {@link readPreferenceRows} in a list, the first `limit` of them. */
export function loadPreferenceRows(
  files: readonly string[],
  { format, limit }: { format?: RowFormat | undefined; limit?: number | undefined } = {},
): Promise<PreferenceRow[]> {
  return loadRows('pairs', sourceRecords(files), { format, limit, name: files.join(', ') });
}

/** The form of a file by its first row; where none is like it, the one whose missing field is the likely mistake. */
function formOf(fields: Fields, kind: DataKind): RowFormName {
  const names = Object.keys(rowForms) as RowFormName[];
  const found = names.find((name) => rowForms[name].matches(fields));
  if (found !== undefined) return found;
  if (kind === 'pairs') return fields.has('prompt') ? 'explicit' : 'implicit';
  return kind === 'unpaired' ? 'unpaired' : 'prompt-completion';
}

/** What a row of a kind looks like, in words. */
function allowedRows(kind: DataKind, format: RowFormat): string {
  if (format !== 'auto') return `a row is ${rowForms[format].shape}`;
  const forms = [...formsOf[kind], ...(kind === 'pairs' ? [] : formsOf.pairs.slice(0, 2))];
  return `a row is ${forms
    .slice(0, 3)
    .map((name) => rowForms[name].shape)
    .join(', or ')}; other forms: ${[...new Set(forms.slice(3))].join(', ')}`;
}

const missing: Readonly<Record<DataKind, string>> = {
  pairs: 'chosen and rejected completion',
  unpaired: 'label',
  sft: 'completion',
};

/** What a row gives for each kind; undefined if it has not what the kind needs. */
const toKind: { [Kind in DataKind]: (content: RowContent, place: RowPlace) => RowOf[Kind][] | undefined } = {
  pairs({ kind: _, ...content }, place) {
    return 'chosen' in content ? [{ ...place, ...content }] : undefined;
  },

  unpaired(content, place) {
    if (content.kind === 'sft') return undefined;
    if (content.kind === 'unpaired') {
      const { kind: _, ...example } = content;
      return [{ ...place, ...example }];
    }
    const { prompt, chosen, rejected, skipped } = content;
    return [
      { ...place, prompt, completion: chosen, label: true, skipped },
      { ...place, prompt, completion: rejected, label: false, skipped },
    ];
  },

  sft(content, place) {
    const { prompt, skipped } = content;
    if (content.kind === 'pairs') {
      // A text to be imitated needs no second one with the same prompt.
      const reason = skipped === 'different prompts' && !isPromptless(content) ? undefined : skipped;
      return [{ ...place, prompt, completion: content.chosen, skipped: reason }];
    }
    const reason = content.kind === 'unpaired' && !content.label ? 'undesirable completion' : undefined;
    return [{ ...place, prompt, completion: content.completion, skipped: skipped ?? reason }];
  },
};

const isPromptless = ({ prompt }: RowContent) => prompt.length === 0;
