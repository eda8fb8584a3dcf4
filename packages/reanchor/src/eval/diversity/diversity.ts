/** How diverse and how long the answers of a file are. */
import { exactJson } from '../../formats/index.js';
import { distinct, groupBy, mean, quantile, selfBleu } from '../../stats/index.js';
import { type Answer, characters } from '../answers.js';

interface SelfBleu {
  /** On words between white space, and on characters. */
  words: number;
  characters: number;
}

interface LengthSummary {
  mean: number;
  /** Quantiles at 5, 25, 50, 75 and 95 %. */
  q05: number;
  q25: number;
  median: number;
  q75: number;
  q95: number;
}

/** How different the answers of a file are among each other. */
export interface Diversity {
  prompts: number;
  answers: number;
  /** Each answer against the other answers to its prompt; undefined where no prompt has two. */
  selfBleuOfPrompts: SelfBleu | undefined;
  /** Each answer against all others; undefined for a single answer. */
  selfBleu: SelfBleu | undefined;
  /** Of all n-grams of words, the share that is different, for n = 1, 2, 3; NaN without an n-gram. */
  distinct: [number, number, number];
  lengths: { characters: LengthSummary; words: LengthSummary; tokens: LengthSummary | undefined };
}

type Texts = Pick<Answer, 'prompt' | 'text' | 'tokens'>;

/** The words of a text between white space. */
const wordsOf = (text: string) => text.split(/\s+/).filter((word) => word !== '');

/**
 * Self-BLEU is a mean over answers: larger means more alike, 1 that all say the same. Definitions: `selfBleu` and
 * `distinct` of stats/. Lengths in tokens are there where all rows say them. Errors: RangeError without an answer.
 */
export function diversity(answers: readonly Texts[]): Diversity {
  if (answers.length === 0) throw new RangeError('no answers to measure');
  const words = answers.map(({ text }) => wordsOf(text));
  const letters = answers.map(({ text }) => [...text]);
  const groups = groupBy(answers.keys(), (i) => exactJson(answers[i]!.prompt));
  const several = [...groups.values()].filter(({ length }) => length > 1);
  const within = (texts: readonly string[][]) =>
    mean(several.flatMap((places) => selfBleu(places.map((i) => texts[i]!))));
  const across = (texts: readonly string[][]) => mean(selfBleu(texts));
  const both = (measure: typeof across): SelfBleu => ({ words: measure(words), characters: measure(letters) });
  const tokens = answers.flatMap((answer) => answer.tokens ?? []);
  return {
    prompts: groups.size,
    answers: answers.length,
    selfBleuOfPrompts: several.length > 0 ? both(within) : undefined,
    selfBleu: answers.length > 1 ? both(across) : undefined,
    distinct: [distinct(words, 1), distinct(words, 2), distinct(words, 3)],
    lengths: {
      characters: lengthSummary(answers.map(({ text }) => characters(text))),
      words: lengthSummary(words.map(({ length }) => length)),
      tokens: tokens.length === answers.length ? lengthSummary(tokens) : undefined,
    },
  };
}

function lengthSummary(lengths: readonly number[]): LengthSummary {
  const at = (share: number) => quantile(lengths, share);
  return { mean: mean(lengths), q05: at(0.05), q25: at(0.25), median: at(0.5), q75: at(0.75), q95: at(0.95) };
}
