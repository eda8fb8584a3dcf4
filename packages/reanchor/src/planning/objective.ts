import { kindOf, type RowPlace } from '../data/index.js';
import { UserError } from '../errors.js';
import { type PairLossOptions, type PairMethod, pairMethod } from '../losses/methods.js';
import type { Recipe } from '../recipe/index.js';
import { type ExampleObjectiveOptions, exampleObjective } from '../train/objectives/examples.js';
import type { LoggedRow, Objective } from '../train/objectives/objective.js';
import { pairObjective } from '../train/objectives/pairs.js';
import { textObjective } from '../train/objectives/texts.js';

/**
 * The objective of a recipe's method: the one place that goes by the kind of its rows. Errors: {@link
 * recipePairMethod}'s.
 */
export function recipeObjective(
  recipe: Pick<Recipe, 'method' | 'loss' | 'seed' | 'data'>,
): Objective<RowPlace, LoggedRow> {
  switch (kindOf(recipe)) {
    case 'sft':
      return textObjective();
    case 'unpaired':
      return exampleObjective(exampleOptions(recipe));
    case 'pairs':
      return pairObjective(recipePairMethod(recipe), { over: recipe.loss.over });
  }
}

/**
 * The loss on preference pairs that a recipe with a pairwise method names. Errors: UserError for options that its
 * losses cannot have together.
 */
export function recipePairMethod(recipe: Pick<Recipe, 'method' | 'loss'>): PairMethod {
  try {
    return pairMethod(pairLossOptions(recipe));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(`loss: ${cause.message}`, { cause });
  }
}

function pairLossOptions({ method, loss }: Pick<Recipe, 'method' | 'loss'>): PairLossOptions {
  const { type = 'sigmoid', weights, beta, labelSmoothing, lengthNormalize = true } = loss;
  const { discopopTau = 0.05, clipReferenceMargin = false, nllWeight = 0 } = loss;
  const { fDivergenceType = 'reverse_kl', fAlphaDivergenceCoef = 0.5 } = loss;
  const names = method === 'dpo' ? [type].flat() : [method === 'ipo' ? ('ipo' as const) : ('kto_pair' as const)];
  return {
    types: names.map((name, i) => ({ name, weight: weights?.[i] ?? 1 })),
    beta,
    labelSmoothing,
    lengthNormalize,
    discopopTau,
    clipReferenceMargin,
    nllWeight,
    divergence:
      fDivergenceType === 'alpha_divergence'
        ? { type: fDivergenceType, coefficient: fAlphaDivergenceCoef }
        : { type: fDivergenceType },
  };
}

function exampleOptions({ loss, seed, data }: Pick<Recipe, 'loss' | 'seed' | 'data'>): ExampleObjectiveOptions {
  const { beta, desirableWeight = 1, undesirableWeight = 1, partners = 'shuffled', over = 'step' } = loss;
  const { maxLength } = data;
  return { beta, desirableWeight, undesirableWeight, partners, over, seed, maxLength };
}
