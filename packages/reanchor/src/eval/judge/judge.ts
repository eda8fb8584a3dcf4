/** What a judge is: something that compares two answers. */

/** Two answers to one prompt, in the order in which the judge sees them. */
export interface Pair {
  prompt: string;
  first: string;
  second: string;
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
export async function judgeBothOrders(
  judge: PairJudge,
  { prompt, answer, other, category }: { prompt: string; answer: string; other: string; category?: string | undefined },
): Promise<BothOrders> {
  const verdicts = await Promise.all([
    judge.judge({ prompt, first: answer, second: other, category }),
    judge.judge({ prompt, first: other, second: answer, category }),
  ]);
  const [there, back] = verdicts.map(({ first }) => first);
  if (there === undefined || back === undefined) return { verdicts, outcome: undefined, agree: undefined };
  const outcomes = [there, 1 - back].map((share): Outcome => (share > 0.5 ? 'win' : share < 0.5 ? 'loss' : 'tie'));
  const agree = outcomes[0] === outcomes[1];
  return { verdicts, outcome: agree ? outcomes[0] : 'tie', agree };
}
