/** What a judge is: something that compares two answers. */
import type { Content } from '../../data/index.js';

/** Two answers to one prompt, in the order in which the judge sees them. */
export interface Pair {
  /** A text, or the messages of a chat. */
  prompt: Content;
  first: string;
  second: string;
  /** Whether each was cut at its greatest length, as far as that is known, and has no end. */
  isCut?: readonly [first: boolean, second: boolean] | undefined;
  /** For benchmarks whose instructions to the judge depend on it. */
  category?: string | undefined;
}

/** What a judge says of a pair. */
export interface Verdict {
  /**
   * The share of the first answer: 1 it is better, 0 the second is, 1/2 a tie, and between where the judge gives
   * probabilities. Undefined where there is no verdict; it is never guessed.
   */
  first: number | undefined;
  /** The judge's own word for it, such as `A>>B`. */
  label?: string | undefined;
  /** What the judge wrote. */
  text?: string | undefined;
  /** Why there is no verdict. */
  unparsed?: string | undefined;
}

/** A judge: a model behind a URL, a model's own rewards, a person. */
export interface PairJudge {
  /** Its name in tables. */
  readonly name: string;
  /** What a result file has to say so that the judgement can be repeated: model, template, settings. Nothing secret. */
  readonly settings: Readonly<Record<string, unknown>>;
  judge(pair: Pair): Promise<Verdict>;
}

export type Outcome = 'win' | 'tie' | 'loss';

/** Two answers to one prompt, whichever is seen first. */
export interface ComparedTexts extends Omit<Pair, 'first' | 'second'> {
  answer: string;
  other: string;
}

export interface BothOrders {
  /** Verdicts with the answer in the first and in the second place. */
  verdicts: [Verdict, Verdict];
  /** Of the answer against the other one; undefined where a verdict is missing. */
  outcome: Outcome | undefined;
  /** Whether both orders say the same; undefined where a verdict is missing. */
  agree: boolean | undefined;
}

/**
 * Judges a pair in both orders: `answer` wins or loses where both orders say so, anything else is a tie, so that a
 * preference for a place decides nothing.
 */
export async function judgeBothOrders(judge: PairJudge, compared: ComparedTexts): Promise<BothOrders> {
  const { answer, other, isCut: [isAnswerCut, isOtherCut] = [false, false], ...asked } = compared;
  const verdicts = await Promise.all([
    judge.judge({ ...asked, first: answer, second: other, isCut: [isAnswerCut, isOtherCut] }),
    judge.judge({ ...asked, first: other, second: answer, isCut: [isOtherCut, isAnswerCut] }),
  ]);
  const [there, back] = verdicts.map(({ first }) => first);
  if (there === undefined || back === undefined) return { verdicts, outcome: undefined, agree: undefined };
  const outcomes = [there, 1 - back].map((share): Outcome => (share > 0.5 ? 'win' : share < 0.5 ? 'loss' : 'tie'));
  const agree = outcomes[0] === outcomes[1];
  return { verdicts, outcome: agree ? outcomes[0] : 'tie', agree };
}
