// Chats that transformers rendered and tokenised (tests/oracle/make_chat.py).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtures } from '../../../../../tests/support/repository.js';
import type { Message } from '../chat-template.js';
import { parseTokenizer, type Tokenizer } from '../tokenizer.js';

type ChatCase = { template: string; chat: number } & (
  | {
      text: string;
      prompt_text: string;
      ids: number[];
      prompt_ids: number[];
      /** Of the whole chat, where the template marks what the assistant says. */
      assistant_mask?: number[];
    }
  | { refused: string }
);

interface Vectors {
  tokenizer: { added: string[] };
  templates: Record<string, string>;
  chats: Message[][];
  cases: ChatCase[];
}

export const vectors = JSON.parse(readFileSync(join(fixtures, 'chat/vectors.json'), 'utf8')) as Vectors;

/** The tokenizer of the vectors; `bos` lets it add BOS itself. */
export function chatTokenizer({
  bos = false,
  chatTemplate,
}: {
  bos?: boolean;
  chatTemplate?: unknown;
} = {}): Tokenizer {
  const definition = JSON.parse(readFileSync(join(fixtures, 'tokenizer/tokenizer.json'), 'utf8')) as {
    added_tokens: { content: string; id: number }[];
    post_processor: unknown;
  };
  const [example] = definition.added_tokens;
  for (const content of vectors.tokenizer.added) {
    definition.added_tokens.push({ ...example, content, id: 512 + vectors.tokenizer.added.indexOf(content) });
  }
  if (!bos) definition.post_processor = null;
  return parseTokenizer(definition, {
    config: { bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>', chat_template: chatTemplate },
  });
}
