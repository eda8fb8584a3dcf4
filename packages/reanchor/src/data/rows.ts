/** From raw records to typed rows of text. */
import { FormatError, UserError } from '../errors.js';
import { isRecord } from '../formats/index.js';
import { UnreadColumns } from './columns.js';
import { Fields } from './fields.js';
import { formsOf, type RowContent, type RowFormName, rowForms } from './forms.js';
import { withSystem } from './messages.js';
import type { DataKind, PreferenceRow, PromptText, RawRecord, RowOf, RowPlace } from './row.js';
import { sourceRecords } from './sources.js';
import { systemOf, templateInput } from './template-input.js';
import { nameOf } from './values.js';

/** How rows are written; `auto` decides by the first row of each file. */
export type RowFormat = 'auto' | RowFormName;

export interface RowOptions {
  format?: RowFormat | undefined;
  /** Records that are read at most. */
  limit?: number | undefined;
  /** What the records are of, in messages. */
  name?: string | undefined;
  /** Hears in sentences what is read otherwise than it is written, and at the end which columns were not read. */
  onNote?: ((note: string) => void) | undefined;
}

/**
 * Records as rows of a kind, in order. Pairs become two examples (chosen, then rejected) where examples with a label
 * are asked for, and their chosen completion where texts to be imitated are; of labelled examples these are the
 * desirable ones. The forms are listed in {@link rowForms}; two of them in other words:
 *
 * - `implicit`: the prompt is what chosen and rejected begin with in common, less a space at its end (TRL's rule), or
 *   the messages that they begin with in common;
 * - `hh`: chosen and rejected are whole transcripts, split after the last "\n\nAssistant:".
 *
 * Every form may have `system`, `tools`, `documents` and `chat_template_kwargs` besides, which chat templates are
 * given. Columns that are neither read nor known to be descriptions, such as an id or a score, are told to `onNote`.
 *
 * Errors: FormatError with file and line for a row that has not the form, naming the field; UserError when there is no
 * record.
 */
export async function* readRows<Kind extends DataKind>(
  kind: Kind,
  records: AsyncIterable<RawRecord>,
  { format = 'auto', limit = Number.POSITIVE_INFINITY, name = 'the data', onNote }: RowOptions = {},
): AsyncGenerator<RowOf[Kind]> {
  const forms = new Map<string, RowFormName>();
  const unread = new UnreadColumns();
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
    const content = withTemplateInput(rowForms[form].parse(fields, format !== 'auto'), fields);
    const rows = toKind[kind](content, { index: index++, line, file });
    if (!rows) throw wrong(`the row has no ${missing[kind]} (its form is ${form}); ${allowedRows(kind, 'auto')}`);
    unread.add(fields.names, fields.taken);
    yield* rows;
    if (index >= limit) break;
  }
  for (const note of unread.notes(name)) onNote?.(note);
  if (index === 0) throw new UserError(`${name}: no rows; ${allowedRows(kind, format)}`);
}

/** What every form may have besides: the message of the system, and what else a chat template is given. */
function withTemplateInput(content: RowContent, fields: Fields): RowContent & Pick<PromptText, 'system' | 'input'> {
  const [system, input] = [systemOf(fields), templateInput(fields)];
  const { prompt } = content;
  if (typeof prompt === 'string') return { ...content, ...(system !== '' && { system }), ...(input && { input }) };
  return { ...content, prompt: withSystem(prompt, system), ...(input && { input }) };
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
  options: Omit<RowOptions, 'name'> = {},
): AsyncGenerator<PreferenceRow> {
  return readRows('pairs', sourceRecords(files), { ...options, name: files.join(', ') });
}

/** The rows of {@link readPreferenceRows} in a list, the first `limit` of them. */
export function loadPreferenceRows(
  files: readonly string[],
  options: Omit<RowOptions, 'name'> = {},
): Promise<PreferenceRow[]> {
  return loadRows('pairs', sourceRecords(files), { ...options, name: files.join(', ') });
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

  unpaired({ kind: _, ...content }, place) {
    if ('label' in content) return [{ ...place, ...content }];
    if (!('chosen' in content)) return undefined;
    const { chosen, rejected, ...said } = content;
    return [
      { ...place, ...said, completion: chosen, label: true },
      { ...place, ...said, completion: rejected, label: false },
    ];
  },

  sft({ kind: _, ...content }, place) {
    if ('chosen' in content) {
      const { chosen, rejected: _other, ...said } = content;
      // A text to be imitated needs no second one with the same prompt.
      const isUsable = said.skipped === 'different prompts' && !isPromptless(content);
      return [{ ...place, ...said, completion: chosen, skipped: isUsable ? undefined : said.skipped }];
    }
    if (!('label' in content)) return [{ ...place, ...content }];
    const { label, ...said } = content;
    return [{ ...place, ...said, skipped: said.skipped ?? (label ? undefined : 'undesirable completion') }];
  },
};

const isPromptless = ({ prompt }: PromptText) => prompt.length === 0;
