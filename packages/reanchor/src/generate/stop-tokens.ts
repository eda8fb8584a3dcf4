/** The tokens that end what a model writes. */
import { join } from 'node:path';
import { FormatError, UserError, unreadable } from '../errors.js';
import { readFile } from '../formats/regular-file.js';
import { type ChatTemplate, loadChatTemplate, modelChatTemplate, type Tokenizer } from '../text/index.js';

/**
 * The tokens that end a text or an answer of a model: those of generation_config.json (without them EOS), and what the
 * chat template, the one named or else the model's own, writes after an answer. Errors: UserError, FormatError.
 */
export async function stopTokens(folder: string, tokenizer: Tokenizer, chatTemplate?: string): Promise<number[]> {
  const stops = await modelStopTokens(folder, tokenizer);
  const own = tokenizer.chatTemplate === undefined ? undefined : modelChatTemplate(tokenizer);
  const template = chatTemplate === undefined ? own : await loadChatTemplate(chatTemplate, tokenizer);
  const end = template && answerEnd(template, tokenizer);
  return end === undefined || stops.includes(end) ? stops : [...stops, end];
}

/** The special token that a template writes after an answer, if it does. */
export function answerEnd(template: ChatTemplate, tokenizer: Tokenizer): number | undefined {
  const answer = 'xyzzy';
  let text: string;
  try {
    text = template.render([
      { role: 'user', content: 'x' },
      { role: 'assistant', content: answer },
    ]);
  } catch {
    return undefined; // A template may refuse such a chat; then the model's own tokens have to do.
  }
  const place = text.lastIndexOf(answer);
  if (place === -1) return undefined;
  const [next] = tokenizer.encode(text.slice(place + answer.length), { addSpecialTokens: false });
  const isSpecial = next !== undefined && tokenizer.decode([next], { skipSpecialTokens: true }) === '';
  return isSpecial ? next : undefined;
}

/** The tokens that end a text: those of generation_config.json, or the tokenizer's EOS token. */
export async function modelStopTokens(folder: string, { eosId }: Tokenizer): Promise<number[]> {
  const file = join(folder, 'generation_config.json');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw new UserError(unreadable(file, error), { cause: error });
  });
  let given: unknown;
  try {
    given = (JSON.parse(text) as { eos_token_id?: unknown } | null)?.eos_token_id;
  } catch (cause) {
    throw new FormatError(`not JSON (${(cause as Error).message})`, { file, cause });
  }
  const named = [given].flat().filter((id): id is number => Number.isInteger(id));
  if (named.length > 0) return named;
  return eosId === undefined ? [] : [eosId];
}
