// Shapes: S sequences that the policy is trained on, R rows (one sequence each, or a pair of them).
import type { Tensor } from '@reanchor/torch';
import type { Group, MicroBatch, Rows, StepPlan } from '../../data/index.js';
import type { Metrics } from '../metrics.js';

/** A micro-batch with the log-probabilities that are known before its loss is computed; none carries a gradient. */
export interface KnownBatch {
  microBatch: MicroBatch;
  /** Under the reference, of the sequences of `microBatch.reference`. */
  reference_S: Tensor | undefined;
  /** Under the policy, of the sequences of `microBatch.partners`. */
  partners_R: Tensor | undefined;
}

/** The numbers that are logged of a row; its loss at least. */
export interface LoggedRow {
  loss: number;
}

/** The losses of rows and the numbers to be logged of each. */
interface RowLosses<Score> {
  /** Its sum over the rows of a step, divided by their weight, is the step's loss. */
  loss_R: Tensor;
  /** [R] each; read after the backward pass. */
  columns: Record<keyof Score, Tensor>;
}

/** What must hold of a row's numbers while policy and reference are equal. */
export interface Comparable<Score> {
  /** Log-probabilities of the same completion under policy and reference, which agree while the two are equal. */
  comparable(score: Score): (readonly [policy: number, reference: number])[];
  /** What the loss of a row is while policy and reference are equal; undefined where it depends on the data. */
  atReference(score: Score): number | undefined;
}

/** What is trained for: how rows of data are laid out, what their loss is, and what is logged. */
export interface Objective<Row, Score extends LoggedRow> extends Comparable<Score> {
  readonly needsReference: boolean;
  /**
   * Whether the reference scores the very batch that the policy is trained on. KTO's has the partners' completions
   * besides.
   */
  readonly scoresSameBatch: boolean;
  /** Whether the loss of a row depends on the log-probabilities of other rows, so that these must be known first. */
  readonly couplesRows: boolean;
  /** The rows that means over rows inside the loss, such as KTO's KL, are taken over. */
  readonly over: 'step' | 'microBatch';
  /** The names of the numbers of a row: the keys of `Score`. */
  readonly columns: readonly string[];
  /** How many rows a micro-batch has. */
  rowsOf(microBatch: MicroBatch): number;
  /** A row as a prompt and the completions that hang on it. */
  group(row: Row): Group;
  /** The micro-batches of a step. */
  layOut(plan: StepPlan, rows: Rows<Row>): MicroBatch[];
  /** What a micro-batch counts in the mean that is the step's loss: its rows, or its scored tokens. */
  weight(microBatch: MicroBatch): number;
  /** The losses of micro-batches, whose policy log-probabilities stand one after the other in `policy_S`. */
  losses(policy_S: Tensor, batches: readonly KnownBatch[], context: readonly KnownBatch[]): RowLosses<Score>;
  /** Metrics over the rows of a step. */
  metrics(scores: readonly Score[]): Metrics;
  /**
   * Metrics of rows that are not trained on, from the log-probabilities of their completions under the policy and under
   * the initial policy.
   */
  evaluation(rows: readonly Row[], now: readonly number[][], initial: readonly number[][]): Metrics;
}
