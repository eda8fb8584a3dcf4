/** Mismatched completions for KTO: which other row lends its completion to a row's prompt. */
import { UserError } from '../errors.js';
import { shuffled } from '../random.js';
import type { Rows } from './row.js';

export interface PartnerOptions {
  /**
   * `shuffled`: rows of the step in a random order, each taking the next one's completion; `previous`: in the order of
   * its micro-batch, each taking that of the row before, the first that of the last (TRL's rotation).
   */
  partners: 'shuffled' | 'previous';
  seed: number;
  step: number;
}

/** What has to differ between a row and its partner. */
interface Example {
  prompt: Int32Array;
  completion: Int32Array;
}

/**
 * The row that lends its completion to each row of a step, micro-batch by micro-batch. It is never the row itself; of
 * `shuffled` ones neither a row with the same prompt or the same completion, as far as the step, or else the data, has
 * others. A pure function of its arguments. Errors: UserError where no other row exists.
 */
export function choosePartners(
  microBatches: readonly (readonly number[])[],
  examples: Rows<Example>,
  { partners, seed, step }: PartnerOptions,
): number[][] {
  if (partners === 'previous') {
    return microBatches.map((rows) => {
      if (rows.length < 2)
        throw new UserError(
          'a micro-batch of one row has no previous one to take a completion from: set batch.size and batch.rowsPerMicroBatch so that none is left alone, or loss.partners to shuffled',
        );
      return rows.map((_, i) => rows.at(i - 1)!);
    });
  }
  const rows = microBatches.flat();
  const order = shuffled(rows.length, seed, partnerKey, step);
  const partnerOf = new Map<number, number>();
  for (const [place, i] of order.entries()) {
    const inStep = order.map((_, k) => rows[order[(place + 1 + k) % order.length]!]!);
    partnerOf.set(i, pick(rows[i]!, inStep, examples) ?? anyOther(rows[i]!, examples, seed, step));
  }
  let i = 0;
  return microBatches.map((batch) => batch.map(() => partnerOf.get(i++)!));
}

const partnerKey = 3;

/** The first candidate that is another row with another prompt and completion, or with another completion at least. */
function pick(row: number, candidates: readonly number[], examples: Rows<Example>): number | undefined {
  const own = examples.at(row)!;
  const isOther = (j: number) => j !== row && !isEqual(examples.at(j)!.completion, own.completion);
  return candidates.find((j) => isOther(j) && !isEqual(examples.at(j)!.prompt, own.prompt)) ?? candidates.find(isOther);
}

function anyOther(row: number, examples: Rows<Example>, seed: number, step: number): number {
  const n = examples.length;
  const [first] = shuffled(n, seed, partnerKey, step, row);
  const found = pick(
    row,
    Array.from({ length: n }, (_, k) => (first! + k) % n),
    examples,
  );
  if (found === undefined) throw new UserError('all rows have the same completion: KTO needs mismatched ones');
  return found;
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
