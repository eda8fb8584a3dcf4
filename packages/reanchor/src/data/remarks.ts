/** What is worth a word about a row that is used. */
import type { Message } from '../text/index.js';
import { repeatsPrompt } from './messages.js';
import type { Content, ExampleRow, PreferenceRow, PromptText, Remark, TextRow } from './row.js';

const usualRoles = new Set(['system', 'developer', 'user', 'assistant', 'tool']);
const unusualRole =
  'a message has a role that is not system, developer, user, assistant or tool, which the template is given as it is' satisfies Remark;

/** What is worth a word about prompts alone, in sentences. */
export function promptRemarks(prompts: readonly PromptText[]): string[] {
  const found = prompts.filter(({ prompt }) => typeof prompt !== 'string' && prompt.some(hasUnusualRole));
  return found.length === 0 ? [] : [`${found.length} of ${prompts.length} rows: ${unusualRole}`];
}

const hasUnusualRole = ({ role }: Message) => !usualRoles.has(role);

/** The remarks on a row as it was tokenised. */
export function remarksOf(
  row: PreferenceRow | ExampleRow | TextRow,
  { boundaryMismatch }: { boundaryMismatch: boolean },
  { chatTemplate, loss = 'completion' }: { chatTemplate?: unknown; loss?: string | undefined },
): Remark[] {
  const completions: Content[] = 'chosen' in row ? [row.chosen, row.rejected] : [row.completion];
  const isPlain = typeof row.prompt === 'string' && chatTemplate === undefined;
  const messages = [row.prompt, ...completions].flatMap((content): readonly Message[] =>
    typeof content === 'string' ? [] : content,
  );
  const isOthersScored = completions.some(
    (content) => typeof content !== 'string' && content.some(({ role }) => role !== 'assistant'),
  );
  const found: [boolean, Remark][] = [
    [boundaryMismatch, 'a token straddles the end of the prompt'],
    [repeatsPrompt(row.prompt, completions), 'the answers begin with the whole prompt, which then stands twice'],
    [
      isOthersScored && loss === 'completion',
      'turns of others than the assistant are scored (data.loss: assistant leaves them out)',
    ],
    [
      isPlain && (row.system !== undefined || row.input !== undefined),
      'the text is plain: system, tools, documents and chat_template_kwargs are for chat templates, and not used',
    ],
    [messages.some(hasUnusualRole), unusualRole],
  ];
  return [...(row.remarks ?? []), ...found.flatMap(([isSo, remark]) => (isSo ? [remark] : []))];
}
