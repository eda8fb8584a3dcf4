/** Files of answers: what models wrote to prompts. */
import { type Content, Fields, messagesIn, type PromptText, systemOf, templateInput } from '../data/index.js';
import { FormatError, UserError } from '../errors.js';
import { isRecord, plainFields, readRecords } from '../formats/index.js';

/** One answer to a prompt, and where it stands. */
export interface Answer {
  /** A text, or the messages of a chat. */
  prompt: Content;
  /** The prompt with what else the row has for a chat template. */
  asked: PromptText;
  text: string;
  /** The model that wrote it, where the row says so. */
  model: string | undefined;
  /** Whether it ended by itself, where the row says so. */
  finish: 'stop' | 'length' | undefined;
  /** What ended it, where the row says so: a token's id, or a string that was cut off. */
  stopToken: number | undefined;
  stopString: string | undefined;
  /** Its length in tokens, where the row says so. */
  tokens: number | undefined;
  /** Its tokens, where the row has them. */
  ids: number[] | undefined;
  line: number;
}

const promptFields = ['prompt', 'instruction'];
const textFields = ['completion', 'output', 'answer', 'response', 'text'];
const modelFields = ['generator', 'model'];
const allowed = 'a row of answers is {"prompt": text or messages, "completion": text}';

/**
 * The answers of a file (JSONL, JSON list or Parquet, gzipped or not): rows with a `prompt`, a text or a list of
 * messages, or `instruction` (and `input`), and the answer as `completion` (what `reanchor generate` writes), `output`
 * (AlpacaEval), `answer`, `response` or `text`; `generator` or `model` may name the model. Errors: UserError for a file
 * that cannot be read or is empty, FormatError for a row of another shape.
 */
export async function readAnswers(file: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  for await (const { where, value } of readRecords(file, { exactNumbers: true }))
    answers.push(answerOf(plainFields(value), file, where));
  if (answers.length === 0) throw new UserError(`${file}: no rows; ${allowed}`);
  return answers;
}

/** The answer in a row. Errors: FormatError. */
export function answerOf(value: unknown, file: string, line: number): Answer {
  const wrong = (message: string) => new FormatError(message, { file, where: String(line) });
  if (!isRecord(value)) throw wrong(`not an object; ${allowed}`);
  const fields = new Fields(value, wrong, allowed);
  const nameOf = (names: readonly string[]) => {
    const name = names.find((one) => fields.has(one));
    if (name === undefined) throw wrong(`no text ${names.join(' or ')}: ${allowed}`);
    return name;
  };
  const { finish, tokens, ids, stopToken, stopString } = value;
  const prompt = promptOf(fields, nameOf(promptFields));
  const [system, input] = [systemOf(fields), templateInput(fields)];
  return {
    prompt,
    asked: { prompt, ...(system !== '' && { system }), ...(input && { input }) },
    text: fields.text(nameOf(textFields)),
    model: modelFields.map((name) => value[name]).find((one) => typeof one === 'string'),
    finish: finish === 'stop' || finish === 'length' ? finish : undefined,
    stopToken: Number.isInteger(stopToken) ? (stopToken as number) : undefined,
    stopString: typeof stopString === 'string' ? stopString : undefined,
    tokens: typeof tokens === 'number' ? tokens : undefined,
    ids: Array.isArray(ids) && ids.every(Number.isInteger) ? (ids as number[]) : undefined,
    line,
  };
}

/** The prompt in a field; an instruction goes with its input, as in rows that are trained on. Errors: FormatError. */
export function promptOf(fields: Fields, name: string): Content {
  if (fields.isList(name)) {
    const messages = messagesIn(fields, name);
    if (messages.length === 0) throw fields.fault(name, 'is a chat without messages');
    return messages;
  }
  const text = fields.text(name);
  const input = name === 'instruction' && fields.has('input') ? fields.text('input') : '';
  return input === '' ? text : `${text}\n\n${input}`;
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
