/** Prompts to be answered: rows without completions. */
import { FormatError, UserError } from '../errors.js';
import type { RawRecord } from '../formats/index.js';
import { isRecord } from '../formats/index.js';
import { UnreadColumns } from './columns.js';
import { Fields } from './fields.js';
import { messagesIn } from './message.js';
import { withSystem } from './messages.js';
import { promptRemarks } from './remarks.js';
import type { PromptText } from './row.js';
import { systemOf, templateInput } from './template-input.js';

const allowed = 'a row is {"prompt": text}, {"prompt": [{"role", "content"}, ...]} or {"messages": [...]}';

/** Columns of rows that are answered already, which prompts may be taken from. */
const answerColumns = new Set([
  'completion',
  'chosen',
  'rejected',
  'label',
  'output',
  'answer',
  'response',
  'messages',
]);

/**
 * The prompts of records, with what their rows have for a chat template. `onNote` hears of columns that are not read.
 * Errors: UserError where there is none; FormatError for a row without a prompt, or with a chat that is answered
 * already.
 */
export async function loadPrompts(
  records: AsyncIterable<RawRecord>,
  { name, onNote }: { name: string; onNote?: ((note: string) => void) | undefined },
): Promise<PromptText[]> {
  const prompts: PromptText[] = [];
  const unread = new UnreadColumns();
  for await (const { file, where, value } of records) {
    const wrong = (message: string) => new FormatError(message, { file, where: String(where) });
    if (!isRecord(value)) throw wrong(`not an object; ${allowed}`);
    const fields = new Fields(value, wrong, allowed);
    prompts.push(promptText(fields));
    unread.add(
      fields.names.filter((column) => !answerColumns.has(column)),
      fields.taken,
    );
  }
  if (prompts.length === 0) throw new UserError(`${name}: no rows; ${allowed}`);
  for (const note of [...unread.notes(name), ...promptRemarks(prompts)]) onNote?.(note);
  return prompts;
}

/** The prompt of a row: `prompt`, else `messages`; also `system`, `tools`, `documents` and `chat_template_kwargs`. */
function promptText(fields: Fields): PromptText {
  const field = fields.has('prompt') || !fields.has('messages') ? 'prompt' : 'messages';
  const [system, input] = [systemOf(fields), templateInput(fields)];
  if (!fields.isList(field)) {
    return { prompt: fields.text(field), ...(system !== '' && { system }), ...(input && { input }) };
  }
  const messages = messagesIn(fields, field);
  if (messages.length === 0) throw fields.fault(field, 'is a chat without messages');
  if (messages.at(-1)!.role === 'assistant') {
    throw fields.fault(field, 'ends with an answer of the assistant, which is what is to be written: leave it out');
  }
  return { prompt: withSystem(messages, system), ...(input && { input }) };
}
