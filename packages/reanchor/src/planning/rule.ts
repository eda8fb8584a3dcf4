import type { ReferenceOptions } from '../recipe/index.js';
import type { UpdateRule } from '../reference/update-rule.js';

/** Steps as a recipe gives them: a number of them, or below 1 a share of the run, at least one step. */
function stepsOf(value: number, totalSteps: number): number {
  return value < 1 ? Math.max(1, Math.round(value * totalSteps)) : value;
}

/** The update rule of a recipe in a run of this many steps. */
export function recipeRule(options: ReferenceOptions, totalSteps: number): UpdateRule {
  const steps = (value: number | undefined) => (value === undefined ? undefined : stepsOf(value, totalSteps));
  if (options.update === 'fixed') return { update: 'fixed' };
  const limits = { startAfter: steps(options.startAfter), stopAfter: steps(options.stopAfter) };
  switch (options.update) {
    case 'soft':
      return { ...limits, update: 'soft', alpha: options.alpha, alphaWarmup: steps(options.alphaWarmup) };
    case 'hard':
      return { ...limits, update: 'hard', tau: steps(options.tau)! };
    case 'mixed': {
      const { alpha, alphaWarmup } = options;
      return { ...limits, update: 'mixed', alpha, alphaWarmup: steps(alphaWarmup), tau: steps(options.tau)! };
    }
    case 'plateau': {
      const { metric, patience, minGain } = options;
      return { ...limits, update: 'plateau', metric, patience, minGain };
    }
  }
}
