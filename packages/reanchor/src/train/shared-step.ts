// Shapes: S sequences of a micro-batch, R rows.
import { type Device, type ProcessGroup, type Tensor, tensor } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { exchange } from '../parallel/exchange.js';
import type { KnownBatch, LoggedRow, Objective } from './objectives/objective.js';

/** What was computed of micro-batches: the numbers of their rows, and where a cap on it is set their drifts. */
export interface Computed<Score> {
  scores: Score[];
  /** Of each completion that the reference scores. */
  drifts: number[];
}

/**
 * A step that several processes share: each computes the micro-batches that are its own, and then all have the numbers
 * of all, so that losses over a whole step, metrics and decisions are the same everywhere. Alone it does nothing.
 */
export class SharedStep<Row, Score extends LoggedRow> {
  constructor(
    private readonly world: ProcessGroup,
    private readonly objective: Pick<Objective<Row, Score>, 'columns' | 'rowsOf'>,
    private readonly hasDrifts: boolean,
  ) {}

  isOwn({ owner = this.world.rank }: MicroBatch): boolean {
    return owner === this.world.rank;
  }

  /** What is known of all micro-batches before their losses are computed. */
  known(
    microBatches: readonly MicroBatch[],
    own: readonly (KnownBatch | undefined)[],
    device: Device,
  ): readonly KnownBatch[] {
    if (this.world.world === 1) return own as readonly KnownBatch[];
    const numbers = own.map((one) => one && [...listOf(one.reference_S), ...listOf(one.partners_R)]);
    const counts = microBatches.map(
      ({ reference, partners }) => reference.numSequences + (partners?.numSequences ?? 0),
    );
    return exchange(this.world, numbers, counts).map((values, i): KnownBatch => {
      const microBatch = microBatches[i]!;
      const { reference, partners } = microBatch;
      return {
        microBatch,
        reference_S: column(values.slice(0, reference.numSequences), device),
        partners_R: partners && column(values.slice(reference.numSequences), device),
      };
    });
  }

  /** The policy's log-probabilities of all micro-batches, [S] each. */
  logprobs(microBatches: readonly MicroBatch[], own: readonly (Tensor | undefined)[], device: Device): Tensor[] {
    if (this.world.world === 1) return own as Tensor[];
    const numbers = own.map((logprobs_S) => logprobs_S?.toList());
    const counts = microBatches.map(({ policy }) => policy.numSequences);
    return exchange(this.world, numbers, counts).map((values) => column(values, device));
  }

  /** The rows of all micro-batches, in their order. */
  computed(microBatches: readonly MicroBatch[], own: readonly (Computed<Score> | undefined)[]): Computed<Score> {
    if (this.world.world === 1) {
      return { scores: own.flatMap((one) => one!.scores), drifts: own.flatMap((one) => one!.drifts) };
    }
    const { columns, rowsOf } = this.objective;
    const driftsOf = ({ reference }: MicroBatch) => (this.hasDrifts ? reference.numSequences : 0);
    const numbers = own.map(
      (one) =>
        one && [...one.scores.flatMap((row) => columns.map((name) => Number(row[name as keyof Score]))), ...one.drifts],
    );
    const counts = microBatches.map((batch) => rowsOf(batch) * columns.length + driftsOf(batch));
    const all = exchange(this.world, numbers, counts);
    return {
      scores: all.flatMap((values, i) => this.#rows(values, rowsOf(microBatches[i]!))),
      drifts: all.flatMap((values, i) => values.slice(values.length - driftsOf(microBatches[i]!))),
    };
  }

  #rows(values: readonly number[], count: number): Score[] {
    const { columns } = this.objective;
    return Array.from({ length: count }, (_, row) => {
      const named = columns.map((name, column) => [name, values[row * columns.length + column]]);
      return Object.fromEntries(named) as Score;
    });
  }
}

const listOf = (values: Tensor | undefined): number[] => values?.toList() ?? [];
const column = (values: readonly number[], device: Device) => tensor(Float64Array.from(values), { device });
