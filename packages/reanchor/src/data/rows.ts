/** Preference rows from JSONL files: an explicit prompt, an implicit one, or Anthropic HH transcripts. */
import { FormatError, UserError } from '../errors.js';
import { readJsonl } from '../formats/index.js';

/** How rows are written; `auto` decides by the first row. */
export type PreferenceFormat = 'auto' | 'explicit' | 'implicit' | 'hh';

/** Why a row is left out. */
export type SkipReason = 'empty completion' | 'prompt fills maxLength' | 'identical pair' | 'different prompts';

/** Where a row comes from. */
export interface RowPlace {
  /** The number of the row in the whole input, from 0. */
  index: number;
  /** The line in its file, from 1. */
  line: number;
  file: string;
}

/** A prompt and two completions of it, as text. */
export interface PreferenceRow extends RowPlace {
  prompt: string;
  chosen: string;
  rejected: string;
  /**
   * Why the row cannot be used, if that is seen already: the prompts of its two sides differ (`prompt` is the chosen
   * one's).
   */
  skipped?: SkipReason | undefined;
}

/**
 * The preference rows of JSONL files, in order.
 *
 * - `explicit`: prompt, chosen, rejected are texts; the text of a side is prompt + completion.
 * - `implicit`: chosen and rejected are whole texts; the prompt is what they begin with in common, less a space at its end
 *   (TRL's rule).
 * - `hh`: chosen and rejected are whole transcripts, split after the last "\n\nAssistant:".
 *
 * Errors: UserError for files that cannot be read or hold no row; FormatError with file and line for a row that has not
 * the form, naming the field. Other fields of a row are ignored, and so is its prompt if `format` names a form without
 * one.
 */
export async function* readPreferenceRows(
  files: readonly string[],
  { format = 'auto' }: { format?: PreferenceFormat | undefined } = {},
): AsyncGenerator<PreferenceRow> {
  let index = 0;
  let form: RowForm | undefined = format === 'auto' ? undefined : format;
  for (const file of files) {
    for await (const { line, value } of readJsonl(file)) {
      const wrong = fault(file, line);
      const fields = checkedFields(value, format, wrong);
      if (form === undefined) {
        form = formOf(fields);
        if (form === 'implicit') refuseOtherPrompt(value as object, wrong);
      }
      yield { index: index++, line, file, ...parsers[form](fields, wrong) };
    }
  }
  if (index === 0) throw new UserError(`${files.join(', ')}: no rows; ${allowedForms}`);
}

/** The rows of {@link readPreferenceRows} in a list, the first `limit` of them. */
export async function loadPreferenceRows(
  files: readonly string[],
  {
    format,
    limit = Number.POSITIVE_INFINITY,
  }: { format?: PreferenceFormat | undefined; limit?: number | undefined } = {},
): Promise<PreferenceRow[]> {
  const rows: PreferenceRow[] = [];
  for await (const row of readPreferenceRows(files, { format })) {
    rows.push(row);
    if (rows.length >= limit) break;
  }
  return rows;
}

type RowForm = Exclude<PreferenceFormat, 'auto'>;
type RowText = Pick<PreferenceRow, 'prompt' | 'chosen' | 'rejected' | 'skipped'>;
type Fields = { chosen: string; rejected: string; prompt: string | undefined };
type Fault = (message: string) => FormatError;

const allowedForms =
  'a row is {"prompt", "chosen", "rejected"}, or {"chosen", "rejected"} with whole texts that begin alike, all of them text';
const unexpectedPrompt =
  '"prompt" is given: the first row has none, so no row may; name the format to ignore the field';
const assistant = '\n\nAssistant:';

const fault =
  (file: string, line: number): Fault =>
  (message) =>
    new FormatError(message, { file, where: String(line) });

/** The texts of a row; its prompt only where the format may have one. */
function checkedFields(value: unknown, format: PreferenceFormat, wrong: Fault): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(`the row is ${nameOf(value)}, not an object; ${allowedForms}`);
  }
  const row = value as Record<string, unknown>;
  const text = (field: string): string => {
    const given = row[field];
    if (typeof given === 'string') return given;
    if (Array.isArray(given)) {
      throw wrong(
        `"${field}" is a list: conversations as lists of messages are not supported yet, turn them into text; ${allowedForms}`,
      );
    }
    const what = Object.hasOwn(row, field) ? `is ${nameOf(given)}, not text` : 'is missing';
    throw wrong(`"${field}" ${what}; ${allowedForms}`);
  };
  const hasPrompt = format === 'explicit' || (format === 'auto' && Object.hasOwn(row, 'prompt'));
  return { chosen: text('chosen'), rejected: text('rejected'), prompt: hasPrompt ? text('prompt') : undefined };
}

/**
 * A prompt under another name would be dropped without a word; and what two answers begin with in common would become
 * the prompt.
 */
function refuseOtherPrompt(row: object, wrong: Fault): void {
  const name = ['question', 'instruction', 'input', 'query', 'context', 'messages', 'conversations'].find(
    (field) => field in row,
  );
  if (name === undefined) return;
  throw wrong(`"${name}" is not read; did you mean "prompt"? Name the format to ignore the field; ${allowedForms}`);
}

function formOf({ prompt, chosen, rejected }: Fields): RowForm {
  if (prompt !== undefined) return 'explicit';
  const isTranscript = (text: string) => text.startsWith('\n\nHuman:') && text.includes(assistant);
  return isTranscript(chosen) && isTranscript(rejected) ? 'hh' : 'implicit';
}

const parsers: Record<RowForm, (fields: Fields, wrong: Fault) => RowText> = {
  explicit({ prompt, chosen, rejected }, wrong) {
    if (prompt === undefined) throw wrong('"prompt" is missing: the first row has one, so every row must');
    return { prompt, chosen, rejected };
  },

  implicit({ prompt, chosen, rejected }, wrong) {
    if (prompt !== undefined) throw wrong(unexpectedPrompt);
    const cut = commonPrompt(chosen, rejected);
    return { prompt: chosen.slice(0, cut), chosen: chosen.slice(cut), rejected: rejected.slice(cut) };
  },

  hh({ prompt, chosen, rejected }, wrong) {
    if (prompt !== undefined) throw wrong(unexpectedPrompt);
    const [a, b] = (['chosen', 'rejected'] as const).map((field) => {
      const text = { chosen, rejected }[field];
      const mark = text.lastIndexOf(assistant);
      if (mark === -1) throw wrong(`"${field}" has no turn "\\n\\nAssistant:", which a transcript (format hh) needs`);
      return { prompt: text.slice(0, mark + assistant.length), completion: text.slice(mark + assistant.length) };
    }) as [Split, Split];
    const row = { prompt: a.prompt, chosen: a.completion, rejected: b.completion };
    return a.prompt === b.prompt ? row : { ...row, skipped: 'different prompts' };
  },
};

interface Split {
  prompt: string;
  completion: string;
}

/**
 * Where the common prompt of two texts ends, in UTF-16 units: at their first difference, or one earlier after a space.
 * If one text begins with the other, the last character of the shorter one belongs to the completions. Source: TRL's
 * `extract_prompt`; other than there, a difference in the first character is an empty prompt.
 */
export function commonPrompt(chosen: string, rejected: string): number {
  const shorter = Math.min(chosen.length, rejected.length);
  let cut = 0;
  while (cut < shorter && chosen[cut] === rejected[cut]) cut++;
  const isContained = cut === shorter;
  if (isContained && cut > 0) cut--;
  if (isSurrogatePair(chosen, cut) || isSurrogatePair(rejected, cut)) cut--;
  if (!isContained && chosen[cut - 1] === ' ') cut--;
  return cut;
}

/** Whether a character of two UTF-16 units lies on both sides of a cut. */
const isSurrogatePair = (text: string, cut: number) => cut > 0 && (text.codePointAt(cut - 1) ?? 0) > 0xffff;

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return { string: 'text', object: 'an object' }[typeof value as string] ?? `a ${typeof value}`;
}
