/** What the answers take that a recipe has the policy write at its evaluations. */
import type { Group } from '../data/index.js';
import type { Recipe } from '../recipe/index.js';
import type { RunPasses } from './flops.js';
import type { PackLayout } from './layout.js';

/** Whether a copy of the initial policy is kept for its KL. */
export const keepsInitial = ({ evaluate: { generate } }: Recipe) => generate?.metrics.includes('kl') ?? false;

/** The lengths of the prompts that are answered, of validation rows. */
export function answeredPrompts({ evaluate: { generate } }: Recipe, groups: readonly Group[]): number[] {
  const different = new Map(groups.map(({ prompt }) => [prompt.join(), prompt.length]));
  return [...different.values()].filter((length) => length > 0).slice(0, generate?.prompts ?? 0);
}

/**
 * The forward passes over the answers to such prompts, all as long as they may be: one to write them, and for each
 * anchor of `kl`, the initial policy and a copied reference, two of the policy and two of the anchor. Undefined without
 * `evaluate.generate`.
 */
export function answerPasses(
  recipe: Recipe,
  prompts: readonly number[],
  hasReferenceModel: boolean,
): RunPasses['answers'] {
  const { generate } = recipe.evaluate;
  if (generate === undefined) return undefined;
  const anchors = keepsInitial(recipe) ? (hasReferenceModel ? 2 : 1) : 0;
  return { packs: prompts.map((prefix) => answerPack(prefix, generate)), passes: 1 + 4 * anchors };
}

/** A prompt of so many tokens with its answers, all as long as they may be. */
export function answerPack(
  prefix: number,
  { samples, maxNewTokens }: { samples: number; maxNewTokens: number },
): PackLayout {
  const completions = samples * (maxNewTokens - 1);
  return { tokens: prefix + completions, scored: samples * maxNewTokens, groups: [{ prefix, completions }] };
}
