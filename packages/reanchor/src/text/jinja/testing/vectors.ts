// What Jinja2 made of templates (tests/oracle/make_jinja.py), and what is made of them here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtures } from '../../../../../../tests/support/repository.js';
import type { ChatTemplate, Message, RenderOptions } from '../../chat-template.js';
import { templateFunctions } from '../../template-functions.js';
import { parseTemplate, render, type Template, TemplateError } from '../index.js';

/** A text; or the kind of what was raised, with its message where that is the template's own. */
export type Result = string | [kind: string, message?: string];

type Variables = Record<string, unknown>;

interface Expressions {
  texts: string[];
  variables: Variables;
  /** The results on each text, or one that is the same for all. */
  expressions: { expression: string; results: Result[] }[];
}

interface Statements {
  now: [number, number, number, number, number, number];
  variables: Variables;
  statements: { source: string; result: Result }[];
}

export interface Chat {
  messages: Message[];
  add_generation_prompt?: boolean;
  /** How many of the tools there are; none where it is left out. */
  tools?: number;
  documents?: object[];
  variables?: Variables;
}

interface Chats {
  tools: object[];
  special_tokens: Record<string, string>;
  chats: Chat[];
  templates: { name: string; source: string; results: Result[] }[];
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(fixtures, 'jinja', `${name}.json`), 'utf8'));

export const expressions = read('expressions') as Expressions;
export const statements = read('statements') as Statements;
export const chats = read('chats') as Chats;

const [year, month, ...time] = statements.now;
/** The moment at which templates were rendered there. */
export const now = new Date(year, month - 1, ...time);

/** What something gives, in the form of the vectors. */
function resultOf(compute: () => string): Result {
  try {
    return compute();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return error.kind === 'TemplateError' ? [error.kind, error.message] : [error.kind];
  }
}

/** What a source writes with variables, of each of several lots of them. */
export function renderSource(source: string, lots: readonly Variables[]): Result[] {
  let template: Template;
  const unread = resultOf(() => {
    template = parseTemplate(source);
    return '';
  });
  if (unread !== '') return lots.map(() => unread);
  const functions = templateFunctions(() => now);
  return lots.map((variables) => resultOf(() => render(template, { ...functions, ...variables })));
}

/** What a template writes for a chat of the vectors. */
export const renderChat = (template: ChatTemplate, chat: Chat): Result =>
  resultOf(() => template.render(chat.messages, optionsOf(chat)));

export function optionsOf(chat: Chat): RenderOptions {
  return {
    addGenerationPrompt: chat.add_generation_prompt,
    tools: chat.tools === undefined ? undefined : chats.tools.slice(0, chat.tools),
    documents: chat.documents,
    variables: chat.variables,
    now,
  };
}
