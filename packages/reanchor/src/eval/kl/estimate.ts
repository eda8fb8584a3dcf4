/** KL(policy || reference) from completions that the policy has written. */
import type { LogRatio } from '../../models/log-ratios.js';
import { type RatioEstimate, type RatioPart, ratioEstimate } from '../../stats/index.js';

/** A measure of answers, nats: a mean per answer, and the sum of all answers over their tokens. */
export interface PerAnswerAndToken {
  sequence: RatioEstimate;
  token: RatioEstimate;
}

export interface KlEstimate {
  prompts: number;
  answers: number;
  tokens: number;
  /** The mean of log pi(y | x) - log ref(y | x): on answers drawn from pi, an unbiased estimate of the KL. */
  logRatio: PerAnswerAndToken;
  /**
   * The mean of the sum over places of KL(pi(. | x, y_<t) || ref(. | x, y_<t)): the same expectation, with less noise.
   * Undefined where it was not measured.
   */
  exact: PerAnswerAndToken | undefined;
}

/**
 * The estimate from answers, a list for each prompt. Standard errors are over prompts, whose answers hang together;
 * over the answers where there is only one prompt. Per token it is a ratio of sums. Errors: RangeError without an
 * answer.
 */
export function klEstimate(ofPrompts: readonly (readonly LogRatio[])[]): KlEstimate {
  const prompts = ofPrompts.filter((answers) => answers.length > 0);
  const answers = prompts.flat();
  if (answers.length === 0) throw new RangeError('no answers to estimate a divergence from');
  const clusters = prompts.length > 1 ? prompts : answers.map((answer) => [answer]);
  const estimate = (value: (answer: LogRatio) => number): PerAnswerAndToken => {
    const over = (count: (answer: LogRatio) => number) =>
      ratioEstimate(
        clusters.map((cluster): RatioPart => ({ sum: total(cluster, value), count: total(cluster, count) })),
      );
    return { sequence: over(() => 1), token: over(({ tokens }) => tokens) };
  };
  const isExact = answers.every(({ divergence }) => divergence !== undefined);
  return {
    prompts: prompts.length,
    answers: answers.length,
    tokens: total(answers, ({ tokens }) => tokens),
    logRatio: estimate(({ logRatio }) => logRatio),
    exact: isExact ? estimate(({ divergence }) => divergence!) : undefined,
  };
}

const total = (answers: readonly LogRatio[], value: (answer: LogRatio) => number) =>
  answers.reduce((sum, answer) => sum + value(answer), 0);
