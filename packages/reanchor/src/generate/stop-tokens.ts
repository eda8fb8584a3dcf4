/** The tokens that end what a model writes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { foldersOf, type ModelPlace, placeOf } from '../data/index.js';
import { FormatError, UserError, unreadable } from '../errors.js';
import { readFile } from '../formats/index.js';
import { type ChatTemplate, loadChatTemplate, modelChatTemplate, type Tokenizer } from '../text/index.js';

/**
 * The tokens that end a text or an answer of a model that was trained with a chat template, or else its own: EOS, which
 * ends texts, those of generation_config.json, and what the template writes after an answer. Errors: UserError,
 * FormatError.
 */
export async function stopTokens(
  at: string | ModelPlace,
  tokenizer: Tokenizer,
  chatTemplate?: string | ChatTemplate,
): Promise<number[]> {
  const own = tokenizer.chatTemplate === undefined ? undefined : modelChatTemplate(tokenizer);
  const named = typeof chatTemplate === 'string' ? await loadChatTemplate(chatTemplate, tokenizer) : chatTemplate;
  const template = named ?? own;
  const ends = [tokenizer.eosId, ...(await modelStopTokens(at, tokenizer)), template && answerEnd(template, tokenizer)];
  return [...new Set(ends)].filter((id) => id !== undefined);
}

/** What a template writes around an answer. */
export interface AnswerFrame {
  /** Between what calls for the answer and the answer. */
  before: string;
  after: string;
}

/** What a template writes around an answer; undefined where it refuses a chat of a question and an answer. */
export function answerFrame(template: ChatTemplate): AnswerFrame | undefined {
  const [asked, answer] = [{ role: 'user', content: 'x' }, 'xyzzy'];
  let start: string;
  let whole: string;
  try {
    start = template.render([asked], { addGenerationPrompt: true });
    whole = template.render([asked, { role: 'assistant', content: answer }]);
  } catch {
    return undefined; // Then the model's own tokens have to do.
  }
  const place = whole.lastIndexOf(answer);
  if (place === -1) return undefined;
  const before = whole.startsWith(start) ? whole.slice(start.length, place) : '';
  return { before, after: whole.slice(place + answer.length) };
}

/** The special token that a template writes after an answer, white space apart, if it does. */
export function answerEnd(template: ChatTemplate, tokenizer: Tokenizer): number | undefined {
  const frame = answerFrame(template);
  return frame && firstSpecial(tokenizer.encode(frame.after, { addSpecialTokens: false }), tokenizer);
}

/** The first special token of ids, if before it there is white space only. */
function firstSpecial(ids: readonly number[], tokenizer: Tokenizer): number | undefined {
  const next = ids.find((id) => tokenizer.decode([id]).trim() !== '');
  return next !== undefined && tokenizer.decode([next], { skipSpecialTokens: true }) === '' ? next : undefined;
}

/**
 * The tokens that end a text: those of generation_config.json, which an adapter may have of its own, or the tokenizer's
 * EOS token.
 */
export async function modelStopTokens(at: string | ModelPlace, { eosId }: Tokenizer): Promise<number[]> {
  const files = foldersOf(placeOf(at)).map((folder) => join(folder, 'generation_config.json'));
  const file = files.find((one) => existsSync(one)) ?? files[0]!;
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
