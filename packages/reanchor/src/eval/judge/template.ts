/** Templates of what a judge is asked: messages with places for the prompt and the answers. */
import { createHash } from 'node:crypto';
import { UsageError } from '../../errors.js';
import { readText } from '../../formats/index.js';
import type { ChatMessage } from './judge-client.js';

/** What fills the places. */
export interface TemplateValues {
  prompt: string;
  /** The first, or the only answer. */
  answer_a: string;
  answer_b?: string | undefined;
}

export interface Template {
  /** Its name, or its file's. */
  name: string;
  messages: readonly ChatMessage[];
}

/** The places, and the names that other projects' templates have for them. */
const places: Record<string, keyof TemplateValues> = {
  prompt: 'prompt',
  instruction: 'prompt',
  question: 'prompt',
  answer: 'answer_a',
  answer_a: 'answer_a',
  output_1: 'answer_a',
  answer_b: 'answer_b',
  output_2: 'answer_b',
};

const place = /\{(\w+)\}/g;

/** The messages of a template with its places filled; what is put in is not searched for places again. */
export function fillTemplate({ messages }: Template, values: TemplateValues): ChatMessage[] {
  return messages.map(({ role, content }) => ({
    role,
    content: content.replace(place, (whole, name: string) => values[places[name.toLowerCase()]!] ?? whole),
  }));
}

/** A hash of a template's messages, which says in a result file what was asked. */
export function templateHash({ messages }: Template): string {
  return createHash('sha256').update(JSON.stringify(messages)).digest('hex').slice(0, 16);
}

/** Characters of a template at most. */
const maxLength = 1 << 16;

/**
 * A template from a file: the text of the user's message, or sections `<|im_start|>role ... <|im_end|>` (as AlpacaEval
 * has them). Places are {prompt} ({instruction}, {question}), {answer_a} ({output_1}, {answer}), {answer_b}
 * ({output_2}), in any case; `answers` says how many answers it must have a place for. Errors: UsageError, UserError.
 */
export async function readTemplate(file: string, answers: 1 | 2): Promise<Template> {
  const text = await readText(file);
  if (text.length > maxLength)
    throw new UsageError(`${file}: ${text.length} characters; a template may have ${maxLength}: is it another file?`);
  const sections = [...text.matchAll(/<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>/gs)];
  const messages =
    sections.length > 0
      ? sections.map(([, role, content]) => ({ role: role as ChatMessage['role'], content: content!.trim() }))
      : [{ role: 'user' as const, content: text.trim() }];
  const found = new Set<string>();
  for (const { content } of messages) {
    for (const [, name] of content.matchAll(place)) {
      const known = places[name!.toLowerCase()];
      if (!known)
        throw new UsageError(`${file}: the place {${name}} is unknown; ${allowedPlaces(answers)} are allowed`);
      found.add(known);
    }
  }
  const needed = answers === 2 ? ['prompt', 'answer_a', 'answer_b'] : ['prompt', 'answer_a'];
  const missing = needed.find((name) => !found.has(name)) ?? [...found].find((name) => !needed.includes(name));
  if (missing === undefined) return { name: file.split('/').at(-1)!, messages };
  throw new UsageError(`${file}: its places have to be ${allowedPlaces(answers)}, and {${missing}} is the difference`);
}

const allowedPlaces = (answers: 1 | 2) =>
  answers === 2 ? '{prompt}, {answer_a} and {answer_b}' : '{prompt} and {answer}';
