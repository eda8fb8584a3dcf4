/** Files of answers: what models wrote to prompts. */
import { type Content, Fields, isRecord } from '../data/index.js';
import { FormatError, UserError } from '../errors.js';
import { readRecords } from '../formats/index.js';

/** One answer to a prompt, and where it stands. */
export interface Answer {
  prompt: string;
  text: string;
  /** The model that wrote it, where the row says so. */
  model?: string | undefined;
  line: number;
}

const promptFields = ['prompt', 'instruction'];
const textFields = ['completion', 'output', 'answer', 'response', 'text'];
const modelFields = ['generator', 'model'];

/**
 * The answers of a file (JSONL, JSON list or Parquet, gzipped or not): rows with a text `prompt` or `instruction`, and
 * the answer as `completion` (what `reanchor generate` writes), `output` (AlpacaEval), `answer`, `response` or `text`;
 * `generator` or `model` may name the model. Errors: UserError for a file that cannot be read or is empty, FormatError
 * for a row of another shape.
 */
export async function readAnswers(file: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  for await (const { where, value } of readRecords(file)) {
    const row = (value ?? {}) as Record<string, unknown>;
    const take = (fields: readonly string[]) =>
      fields.map((field) => row[field]).find((one): one is string => typeof one === 'string');
    const [prompt, text, model] = [take(promptFields), take(textFields), take(modelFields)];
    if (prompt === undefined || text === undefined) {
      const missing = prompt === undefined ? promptFields : textFields;
      throw new FormatError(
        `no text ${missing.join(' or ')}: a row of answers is {"prompt": text, "completion": text}`,
        {
          file,
          where: String(where),
        },
      );
    }
    answers.push({ prompt, text, model, line: where });
  }
  if (answers.length === 0) throw new UserError(`${file}: no rows; a row is {"prompt": text, "completion": text}`);
  return answers;
}

/** An answer as `reanchor generate` writes it. */
export interface ModelAnswer {
  /** A text, or the messages of a chat. */
  prompt: Content;
  text: string;
  /** Whether it ended by itself, where the row says so. */
  finish: 'stop' | 'length' | undefined;
  /** Its length in tokens, where the row says so. */
  tokens: number | undefined;
  line: number;
}

/**
 * The answers of a file as {@link readAnswers} reads them, and also those to chats, whose `prompt` is a list of messages;
 * with `finish` and `tokens` where the rows have them. Errors: those of {@link readAnswers}.
 */
export async function readModelAnswers(file: string): Promise<ModelAnswer[]> {
  const answers: ModelAnswer[] = [];
  const allowed = 'a row of answers is {"prompt": text or messages, "completion": text}';
  for await (const { where, value } of readRecords(file)) {
    const wrong = (message: string) => new FormatError(message, { file, where: String(where) });
    if (!isRecord(value)) throw wrong(`not an object; ${allowed}`);
    const fields = new Fields(value, wrong, allowed);
    const name = (names: readonly string[]) => names.find((one) => fields.has(one)) ?? names[0]!;
    const promptField = name(promptFields);
    const prompt = fields.isList(promptField) ? fields.messages(promptField) : fields.text(promptField);
    const text = fields.text(name(textFields));
    const { finish, tokens } = value;
    answers.push({
      prompt,
      text,
      finish: finish === 'stop' || finish === 'length' ? finish : undefined,
      tokens: typeof tokens === 'number' ? tokens : undefined,
      line: where,
    });
  }
  if (answers.length === 0) throw new UserError(`${file}: no rows; ${allowed}`);
  return answers;
}

/**
 * Where each prompt of `wanted` stands in `prompts`, or -1. A prompt that occurs several times is matched in order: its
 * second occurrence here is its second occurrence there.
 */
export function placesOf(wanted: readonly string[], prompts: readonly string[]): number[] {
  const places = new Map<string, number[]>();
  for (const [i, prompt] of prompts.entries()) {
    const list = places.get(prompt);
    if (list) list.push(i);
    else places.set(prompt, [i]);
  }
  const used = new Map<string, number>();
  return wanted.map((prompt) => {
    const nth = used.get(prompt) ?? 0;
    used.set(prompt, nth + 1);
    return places.get(prompt)?.[nth] ?? -1;
  });
}

/** The length of a text in Unicode characters, as Python counts; UTF-16 units would count an emoji twice. */
export function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const [high, low] = [text.charCodeAt(i), text.charCodeAt(i + 1)];
    if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
      count--;
      i++;
    }
  }
  return count;
}
