import type { DType } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import type { ReferenceOptions } from '../recipe/index.js';
import { CachedReference } from '../reference/cached-reference.js';
import { CopiedReference } from '../reference/copied-reference.js';
import type { ReferencePolicy } from '../reference/policy.js';
import { ReferenceClock } from '../reference/reference-clock.js';
import type { UpdateRule } from '../reference/update-rule.js';

/** Steps as a recipe gives them: a number of them, or below 1 a share of the run, at least one step. */
export function stepsOf(value: number, totalSteps: number): number {
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

/** What a reference is made from. */
export interface ReferenceMaterial {
  policy: CausalLM;
  rule: UpdateRule;
  totalSteps: number;
  upcoming: (step: number) => Iterable<readonly MicroBatch[]>;
  /** The model that `reference.model` names, in `dtype`; the reference owns it. */
  initial?: CausalLM | undefined;
  /** The policy's float32 weights, where it has such. */
  masters?: CausalLM | undefined;
  /** The dtype of the reference's weights. */
  dtype: DType;
}

/** The reference of a recipe, and the initial policy's log-probabilities where a cap on the divergence needs them. */
export function recipeReference(
  options: ReferenceOptions,
  { policy, rule, totalSteps, upcoming, initial, masters, dtype }: ReferenceMaterial,
): { reference: ReferencePolicy; initialPolicy: CachedReference | undefined } {
  const maxDivergence = options.update === 'fixed' ? undefined : options.maxDivergence;
  const reference =
    options.storage === 'cached'
      ? new CachedReference(policy, { rule, totalSteps, upcoming, initial })
      : new CopiedReference(policy, new ReferenceClock(rule, { maxDivergence }), { initial, masters, dtype });
  const initialPolicy =
    maxDivergence === undefined
      ? undefined
      : new CachedReference(policy, { rule: { update: 'fixed' }, totalSteps, upcoming });
  return { reference, initialPolicy };
}
