import { describeBoundaryMismatches } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import type { Recipe } from '../runs/index.js';
import type { RecipePairs } from './recipe-pairs.js';

/** What is allowed but probably not meant, in sentences. */
export function runWarnings(recipe: Recipe, totalSteps: number, policy: CausalLM, pairs: RecipePairs): string[] {
  const { reference, schedule, evaluate } = recipe;
  const found = pairs.reports.flatMap(describeBoundaryMismatches);
  if ('tau' in reference && reference.tau > totalSteps) {
    found.push(
      `reference.tau is ${reference.tau} and the run has ${totalSteps} steps: the reference never moves, this is training with a fixed reference`,
    );
  }
  if ('alpha' in reference && reference.alpha === 0) {
    found.push('reference.alpha is 0: the reference never moves, this is training with a fixed reference');
  }
  if (schedule.warmupSteps >= Math.max(1, totalSteps)) {
    found.push(
      `schedule.warmupSteps is ${schedule.warmupSteps} and the run has ${totalSteps} steps: the learning rate never reaches optimizer.lr`,
    );
  }
  if (evaluate.every !== undefined && evaluate.every >= totalSteps) {
    found.push(
      `evaluate.every is ${evaluate.every} and the run has ${totalSteps} steps: it is evaluated before and after only`,
    );
  }
  const trained = new Set(pairs.train.map(({ file, line }) => `${file}:${line}`));
  const shared = pairs.validation.filter(({ file, line }) => trained.has(`${file}:${line}`)).length;
  if (shared > 0)
    found.push(`${shared} of the ${pairs.validation.length} pairs of data.validation are trained on as well`);
  const unprompted = pairs.train.filter(({ prompt }) => prompt.length <= pairs.emptyPromptTokens).length;
  if (unprompted > 0) found.push(`${unprompted} of ${pairs.train.length} pairs have an empty prompt`);
  const positions = policy.configJson.max_position_embeddings;
  const longest = pairs.train.reduce(
    (n, { prompt, chosen, rejected }) => Math.max(n, prompt.length + Math.max(chosen.length, rejected.length)),
    0,
  );
  if (typeof positions === 'number' && longest > positions) {
    found.push(
      `the longest row has ${longest} tokens and the model was made for ${positions} (max_position_embeddings): set data.maxLength to ${positions} or less`,
    );
  }
  const stored = policy.configJson.torch_dtype ?? policy.configJson.dtype;
  if (typeof stored === 'string' && stored !== policy.dtype) {
    found.push(
      `the model is stored in ${stored}; it is trained and saved in ${policy.dtype} (precision: ${recipe.precision})`,
    );
  }
  return found;
}
