/** Rows of training data as text: what a raw record becomes before it is tokenised. */
import type { Message, TemplateInput } from '../text/index.js';

export type { RawRecord } from '../formats/index.js';

/** What rows are for: a chosen and a rejected completion; one with a label (KTO); one to be imitated. */
export type DataKind = 'pairs' | 'unpaired' | 'sft';

/** Why a row is left out. */
export type SkipReason =
  | 'empty completion'
  | 'prompt fills maxLength'
  | 'completion fills maxLength'
  | 'identical pair'
  | 'identical pair once cut at maxLength'
  | 'identical pair as the chat template writes it'
  | 'different prompts'
  | 'tie'
  | 'undesirable completion'
  | 'not a Reddit post'
  | 'no answer in the chat'
  | 'no answer that is to be learnt'
  | 'no prompt for the chat template'
  | 'two BOS tokens at the start'
  | 'the chat template changes the prompt when an answer follows'
  | 'the chat template does not show where an answer begins or ends'
  | 'the chat template does not take content in parts'
  | 'the answers begin with the whole prompt, which then stands twice'
  | `the chat template refuses it (${string})`;

/** What is worth a word about a row that is used. */
export type Remark =
  | 'a token straddles the end of the prompt'
  | 'the answers begin with the whole prompt, which then stands twice'
  | 'turns of others than the assistant are scored (data.loss: assistant leaves them out)'
  | 'messages after the last answer are left out'
  | 'a message has a role that is not system, developer, user, assistant or tool, which the template is given as it is'
  | 'the text is plain: system, tools, documents and chat_template_kwargs are for chat templates, and not used';

/** Where a row comes from. */
export interface RowPlace {
  /** The number of the row in the whole input, from 0. */
  index: number;
  /** The line in its file, from 1. */
  line: number;
  file: string;
}

/** Rows by their position: a list, or what reads them when they are asked for. */
export interface Rows<Row> extends Iterable<Row> {
  readonly length: number;
  at(position: number): Row | undefined;
}

/** Text as it is, or messages that a chat template makes text of. In a row it is the same for prompt and completion. */
export type Content = string | readonly Message[];

/** A prompt with all that a chat template makes text of. */
export interface PromptText {
  prompt: Content;
  /** The system message, where it is no message of the prompt. */
  system?: string | undefined;
  /** What else the chat template is given. */
  input?: TemplateInput | undefined;
}

interface Row extends RowPlace, PromptText {
  /** Why the row cannot be used, if that is seen already. */
  skipped?: SkipReason | undefined;
  /** What is seen already to be worth a word. */
  remarks?: readonly Remark[] | undefined;
}

/** A prompt and two completions of it. */
export interface PreferenceRow extends Row {
  chosen: Content;
  rejected: Content;
}

/** A prompt and a completion that is desirable (true) or not. */
export interface ExampleRow extends Row {
  completion: Content;
  label: boolean;
}

/** A completion to be imitated; a whole text has the prompt ''. */
export interface TextRow extends Row {
  completion: Content;
}

/** The row of each kind. */
export interface RowOf {
  pairs: PreferenceRow;
  unpaired: ExampleRow;
  sft: TextRow;
}
