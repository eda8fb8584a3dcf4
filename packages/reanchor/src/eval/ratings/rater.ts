/** What rates a single answer. */
import type { JudgeClient } from '../judge/judge-client.js';
import type { JudgeSettings } from '../judge/judges.js';
import { fillTemplate, type Template, templateHash } from '../judge/template.js';
import { type Criterion, criteria } from '../judge/templates.js';

/** Whole numbers from 1, the worst, to 10. */
export type Ratings = Record<Criterion, number>;

interface RatedAnswer {
  /** Undefined where there is no rating; it is never guessed. */
  ratings: Ratings | undefined;
  unparsed?: string | undefined;
  text?: string | undefined;
}

/** Something that rates an answer by itself. */
export interface Rater {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  rate(answer: { prompt: string; answer: string }): Promise<RatedAnswer>;
}

/** A rater that asks a model. A reply that cannot be read is asked for once more, then there is no rating. */
export function chatRater(
  client: JudgeClient,
  { template, temperature = 0, maxNewTokens = 200 }: { template: Template } & Omit<JudgeSettings, 'template'>,
): Rater {
  return {
    name: client.model,
    settings: {
      model: client.model,
      server: client.server,
      templates: { [template.name]: templateHash(template) },
      temperature,
      maxNewTokens,
    },
    async rate({ prompt, answer }) {
      const messages = fillTemplate(template, { prompt, answer_a: answer });
      const outcome = await client.ask({ messages, temperature, maxNewTokens }, readRatings);
      const text = outcome.reply?.text;
      return 'value' in outcome
        ? { ratings: outcome.value, text }
        : { ratings: undefined, unparsed: outcome.unparsed, text };
    },
  };
}

/**
 * A whole number from 1 to 10 for every criterion, each as `criterion: number` at the start of a line or of a JSON
 * field (Markdown, JSON punctuation and `/10` around it are allowed). A missing one, another number, or two different
 * ones make the reply unreadable.
 */
export function readRatings({ text }: { text: string }): { value: Ratings } | { unparsed: string } {
  const said = text.slice(text.lastIndexOf('</think>') + 1);
  const ratings: Partial<Ratings> = {};
  for (const name of criteria) {
    const pattern = new RegExp(`(?:^|[,{])[\\W_]{0,40}${name}[\\W_]{0,40}:[\\s*_"'\`([]*([^\\s,;}]+)`, 'gim');
    // A number has few characters; in a long run of marks each would be looked at from each.
    const plain = (word: string) => word.slice(0, 40).replace(/(\/10)?[*_"'`)\],.;]*$/, '');
    const found = new Set([...said.matchAll(pattern)].map(([, word]) => plain(word!)));
    const [word] = found;
    if (found.size !== 1) return { unparsed: `${found.size === 0 ? 'no' : 'contradictory'} ratings of ${name}` };
    if (!/^([1-9]|10)$/.test(word!)) return { unparsed: `the rating of ${name} is no whole number from 1 to 10` };
    ratings[name] = Number(word);
  }
  return { value: ratings as Ratings };
}
