/** Rows of training data as text: what a raw record becomes before it is tokenised. */
import type { Message } from '../text/chat-template.js';

export type { RawRecord } from '../formats/index.js';

/** What rows are for: a chosen and a rejected completion; one with a label (KTO); one to be imitated. */
export type DataKind = 'pairs' | 'unpaired' | 'sft';

/** Why a row is left out. */
export type SkipReason =
  | 'empty completion'
  | 'prompt fills maxLength'
  | 'completion fills maxLength'
  | 'identical pair'
  | 'different prompts'
  | 'tie'
  | 'undesirable completion'
  | 'not a Reddit post'
  | 'no answer in the chat'
  | 'no prompt for the chat template'
  | 'two BOS tokens at the start'
  | 'the chat template changes the prompt when an answer follows'
  | `the chat template refuses it (${string})`;

/** Where a row comes from. */
export interface RowPlace {
  /** The number of the row in the whole input, from 0. */
  index: number;
  /** The line in its file, from 1. */
  line: number;
  file: string;
}

/** Text as it is, or messages that a chat template makes text of. In a row it is the same for prompt and completion. */
export type Content = string | readonly Message[];

interface Row extends RowPlace {
  prompt: Content;
  /** Why the row cannot be used, if that is seen already. */
  skipped?: SkipReason | undefined;
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
