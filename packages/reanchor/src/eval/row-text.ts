/** How rows become tokens where a model is measured on them: as they did in the run that left it, unless told otherwise. */
import type { RowFormat, TokenizeOptions } from '../data/index.js';
import { type RunText, runTextOfModel } from '../runs/index.js';
import { loadChatTemplate } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';

export interface RowTextOptions {
  /** Tokens of prompt and completion together. Default: that of the run, else 1024. */
  maxLength?: number | undefined;
  /** Default: that of the run, else auto. */
  format?: RowFormat | undefined;
  /** Keep pairs whose two completions are identical too. Default: as the run did, else not. */
  keepIdentical?: boolean | undefined;
  /** As in a recipe; `none`: texts stay as they are. Default: that of the run, else none. */
  chatTemplate?: string | undefined;
}

export interface RowText {
  format: RowFormat;
  tokenize: TokenizeOptions;
  /** The same as plain values, for results. */
  settings: { maxLength: number; format: RowFormat; keepIdentical: boolean; chatTemplate: string };
}

/** What rows become tokens by; `onNote` hears what is taken from a run. Errors: those of `loadChatTemplate`, and of a run folder that is broken. */
export async function rowText(
  model: string,
  tokenizer: Tokenizer,
  given: RowTextOptions & { onNote?: ((note: string) => void) | undefined },
  run: RunText | undefined = runTextOfModel(model, given.onNote),
): Promise<RowText> {
  const data = run?.recipe.data;
  const choice = given.chatTemplate ?? run?.chatTemplate ?? 'none';
  const format = given.format ?? data?.format ?? 'auto';
  const maxLength = given.maxLength ?? data?.maxLength ?? 1024;
  const keepIdentical = given.keepIdentical ?? data?.keepIdentical ?? false;
  const tokenize = {
    maxLength,
    keepIdentical,
    truncate: data?.truncate,
    loss: data?.loss === 'assistant' ? data.loss : undefined,
    now: run?.now,
    chatTemplate: choice === 'none' ? undefined : await loadChatTemplate(choice, tokenizer, '--chat-template'),
  };
  const template = choice === 'none' ? 'no chat template for plain text' : `chat template ${shown(choice)}`;
  if (run) given.onNote?.(`rows as in ${run.run}: ${template}, maxLength ${maxLength}, format ${format}`);
  return { format, tokenize, settings: { maxLength, format, keepIdentical, chatTemplate: choice } };
}

const shown = (choice: string) => (choice.length > 40 ? `${choice.slice(0, 40)}...` : choice);
