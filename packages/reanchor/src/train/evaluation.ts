import type { TokenizedPair } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { pairRewards, type ScoredPair, scorePairs } from '../models/score-pairs.js';
import { type Metrics, pairMetrics } from './metrics.js';

export interface EvaluationOptions {
  beta: number;
  tokensPerMicroBatch: number;
  signal?: AbortSignal | undefined;
}

/**
 * How the policy ranks pairs that it is not trained on. Rewards are measured against the *initial* policy, whose
 * log-probabilities are taken once, when the evaluation is made: a moving reference would hide all that the policy has
 * learned before its last update.
 */
export class Evaluation {
  private constructor(
    readonly pairs: readonly TokenizedPair[],
    readonly options: EvaluationOptions,
    readonly initial: readonly ScoredPair[],
  ) {}

  static async of(pairs: readonly TokenizedPair[], policy: CausalLM, options: EvaluationOptions): Promise<Evaluation> {
    return new Evaluation(pairs, options, await scorePairs(policy, pairs, options));
  }

  /** `rewards/*` and `logps/*` of these pairs (see `pairMetrics`), rewards against the initial policy. */
  async metrics(policy: CausalLM): Promise<Metrics> {
    return this.#metricsOf(await scorePairs(policy, this.pairs, this.options));
  }

  /** The same of the initial policy, from the log-probabilities that are known. */
  initialMetrics(): Metrics {
    return this.#metricsOf(this.initial);
  }

  #metricsOf(now: readonly ScoredPair[]): Metrics {
    const { beta } = this.options;
    return pairMetrics(
      now.map(({ chosen, rejected }, i) => {
        const initial = this.initial[i]!;
        const rewards = pairRewards({ chosen, rejected }, initial, beta);
        return {
          chosenReward: rewards.chosen,
          rejectedReward: rewards.rejected,
          chosenLogprob: chosen,
          rejectedLogprob: rejected,
          chosenReferenceLogprob: initial.chosen,
          rejectedReferenceLogprob: initial.rejected,
        };
      }),
    );
  }
}
