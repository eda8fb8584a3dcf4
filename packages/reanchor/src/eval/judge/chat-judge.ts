/** Judges that are models behind a chat endpoint. */
import { UserError } from '../../errors.js';
import { readVerdict, verdictScore } from '../arena/verdict.js';
import { promptText } from '../prompts.js';
import type { ChatReply } from './chat-reply.js';
import type { Pair, PairJudge, Verdict } from './judge.js';
import type { JudgeClient } from './judge-client.js';
import { fillTemplate, type Template, templateHash } from './template.js';

/** How the judge's reply becomes a verdict. */
export type ReadReply = (reply: ChatReply) => { value: Verdict } | { unparsed: string };

export interface ChatJudgeOptions {
  client: JudgeClient;
  /** The template of a pair. */
  templateOf: (pair: Pair) => Template;
  /** All templates that may be used, for the result file. */
  templates: readonly Template[];
  read: ReadReply;
  temperature?: number | undefined;
  /** The longest reply in tokens. */
  maxNewTokens: number;
  topLogprobs?: number | undefined;
}

/** A judge that asks a model. A reply that cannot be read is asked for once more, then there is no verdict. */
export function chatJudge(options: ChatJudgeOptions): PairJudge {
  const { client, templateOf, templates, read, temperature = 0, maxNewTokens, topLogprobs } = options;
  return {
    name: client.model,
    settings: {
      model: client.model,
      server: client.server,
      templates: Object.fromEntries(templates.map((template) => [template.name, templateHash(template)])),
      temperature,
      maxNewTokens,
      ...(topLogprobs !== undefined && { topLogprobs }),
    },
    async judge(pair) {
      const values = { prompt: promptText(pair.prompt), answer_a: pair.first, answer_b: pair.second };
      const messages = fillTemplate(templateOf(pair), values);
      const outcome = await client.ask({ messages, temperature, maxNewTokens, topLogprobs }, read);
      const text = outcome.reply?.text;
      return 'value' in outcome ? { ...outcome.value, text } : { first: undefined, unparsed: outcome.unparsed, text };
    },
  };
}

/** `Winner: A`, `B` or `C` (a tie) on a line of its own; several lines have to agree. Markdown around it is allowed. */
export function readWinner({ text }: { text: string }): { value: Verdict } | { unparsed: string } {
  const said = text.slice(text.lastIndexOf('</think>') + 1);
  const found = new Set(
    [...said.matchAll(/^[ \t*_#>-]*winner[\s*_]*:[\s*_[("]*(A|B|C|tie)[\s*_\])".]*$/gim)].map(([, label]) =>
      label!.toUpperCase(),
    ),
  );
  if (found.size !== 1) return { unparsed: found.size === 0 ? 'no winner' : 'contradictory winners' };
  const label = [...found][0]!;
  return { value: { first: label === 'A' ? 1 : label === 'B' ? 0 : 0.5, label } };
}

/** A label of Arena-Hard; the share of a strong verdict is that of a weak one, the label keeps them apart. */
export const readArenaReply =
  (rule: 'last' | 'only'): ReadReply =>
  ({ text }) => {
    const found = readVerdict(text, rule);
    if ('unparsed' in found) return found;
    return { value: { first: verdictScore(found.verdict, 1).score, label: found.verdict } };
  };

/**
 * The share of the answer of `m` against that of `M`, from the probabilities of the two letters as the first token:
 * p(m) / (p(m) + p(M)), a letter that is not among the most probable tokens having none. Errors: UserError for a server
 * without log-probabilities. Source: AlpacaEval 2, completion parser logprob_parser.
 */
export function readLetterProbabilities({ tokens }: ChatReply): { value: Verdict } | { unparsed: string } {
  const first = tokens?.[0];
  if (!first || first.top.length === 0) {
    throw new UserError(
      (option) =>
        `the judge gives no log-probabilities (top_logprobs): use another server or model, or ${option('isDiscrete')} to take the letter that it writes`,
    );
  }
  const p = (letter: string) =>
    first.top.reduce((sum, { token, logprob }) => (token === letter ? sum + Math.exp(logprob) : sum), 0);
  const [small, large] = [p('m'), p('M')];
  if (small + large === 0) return { unparsed: 'neither m nor M is among the most probable tokens' };
  return { value: { first: small / (small + large), label: small >= large ? 'm' : 'M' } };
}

/** The letter m or M that is the whole reply. */
export function readLetter({ text }: { text: string }): { value: Verdict } | { unparsed: string } {
  const letter = text.trim();
  if (letter !== 'm' && letter !== 'M') return { unparsed: 'the reply is neither m nor M' };
  return { value: { first: letter === 'm' ? 1 : 0, label: letter } };
}
