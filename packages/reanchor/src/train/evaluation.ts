import type { CausalLM } from '../models/causal-lm.js';
import type { PassOptions } from '../models/passes.js';
import { scoreCompletions } from '../models/score-completions.js';
import type { Metrics } from './metrics.js';
import type { LoggedRow, Objective } from './objectives/objective.js';

type Evaluated<Row> = Pick<Objective<Row, LoggedRow>, 'group' | 'evaluation'>;

export type EvaluationOptions = Omit<PassOptions, 'onProgress'>;

/**
 * How the policy does on rows that it is not trained on. Rewards are measured against the *initial* policy, whose
 * log-probabilities are taken once, when the evaluation is made: a moving reference would hide all that the policy has
 * learned before its last update.
 */
export class Evaluation<Row> {
  /** `initial` are the log-probabilities of the rows under the initial policy. */
  constructor(
    readonly objective: Evaluated<Row>,
    readonly rows: readonly Row[],
    readonly options: EvaluationOptions,
    readonly initial: number[][],
  ) {}

  static async of<Row>(
    objective: Evaluated<Row>,
    rows: readonly Row[],
    policy: CausalLM,
    options: EvaluationOptions,
  ): Promise<Evaluation<Row>> {
    const initial = await scoresOf(objective, rows, policy, options);
    return new Evaluation(objective, rows, options, initial);
  }

  /** The objective's metrics of these rows, rewards against the initial policy. */
  async metrics(policy: CausalLM): Promise<Metrics> {
    const { objective, rows, options, initial } = this;
    return objective.evaluation(rows, await scoresOf(objective, rows, policy, options), initial);
  }

  /** The same of the initial policy, from the log-probabilities that are known. */
  initialMetrics(): Metrics {
    return this.objective.evaluation(this.rows, this.initial, this.initial);
  }
}

function scoresOf<Row>(
  objective: Evaluated<Row>,
  rows: readonly Row[],
  policy: CausalLM,
  options: EvaluationOptions,
): Promise<number[][]> {
  const groups = rows.map((row) => objective.group(row));
  return scoreCompletions(policy, groups, options);
}
