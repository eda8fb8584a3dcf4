/** Whether rows and difficulties speak of the same instructions. */
import { type Naming, UserError } from '../../errors.js';
import { type Answer, characters } from '../answers.js';
import type { JudgedModel } from './files.js';
import type { GamedBaselines } from './length-control.js';

export interface OrderedFiles {
  models: readonly JudgedModel[];
  /** The baseline's answers, by which the places of `models` are known; else they are those of rows in their files. */
  reference: readonly Answer[] | undefined;
  /** The files, for messages. */
  difficulty?: string | undefined;
  referenceOutputs?: string | undefined;
  lcInputs?: string | undefined;
}

/**
 * Difficulties go by the places of the instructions in AlpacaEval's order. Which instruction stands where is known by
 * the baseline's answers, and without them only by their lengths, which the gamed baselines have in that order. Errors:
 * UserError for rows that are of other instructions.
 */
export function requireOrder({ lengths }: GamedBaselines, files: OrderedFiles): void {
  const order = lengths[0]!.len1;
  const { models, reference, difficulty, referenceOutputs, lcInputs } = files;
  const why = `${difficulty} goes by the places of the instructions in AlpacaEval's order`;
  if (reference) {
    if (isOrdered(reference, order)) return;
    throw new UserError(
      `${referenceOutputs}: its ${reference.length} answers are not those to all ${order.length} instructions in their order, and ${why}: give the baseline's answers as AlpacaEval has them`,
    );
  }
  for (const { model, len1, index } of models) {
    if (len1.every((length, i) => length === order[index[i]!])) continue;
    const next = (option: Naming) =>
      lcInputs === undefined
        ? `give ${option('referenceOutputs')}, the baseline's answers in that order, and rows are matched by instruction`
        : `a row of ${lcInputs} is of the first n instructions in that order`;
    throw new UserError(
      (option) =>
        `${model}: which instruction stands where is not known: the baseline's answers have other lengths than in the gamed baselines, so that rows are missing or in another order, or the baseline is another; ${why}: ${next(option)}`,
    );
  }
}

/** Answers of another baseline say nothing of the order; the known ones in another order, or other than all, do. */
function isOrdered(reference: readonly Answer[], order: readonly number[]): boolean {
  const own = reference.map(({ text }) => characters(text));
  if (own.every((length, i) => length === order[i])) return true;
  const sorted = (some: readonly number[]) => [...some].sort((a, b) => a - b).join();
  return own.length === order.length && sorted(own) !== sorted(order);
}
