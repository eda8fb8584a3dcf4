import type { ProcessGroup } from '@reanchor/torch';
import { CachedReference } from '../reference/cached-reference.js';
import { CopiedReference } from '../reference/copied-reference.js';
import { ReferenceClock } from '../reference/reference-clock.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { UpdateRule } from '../reference/update-rule.js';
import type { ModelWeights } from '../weights/weights.js';
import type { Plan } from './plan.js';

/** What a reference is made from, besides its plan. */
export interface ReferenceSources {
  /** The policy's. */
  weights: ModelWeights;
  /** The model that `reference.model` names, or that a checkpoint has; the reference owns it. */
  initial?: ModelWeights | undefined;
  /** The processes that share the run; this one alone when left out. */
  world?: ProcessGroup | undefined;
}

/**
 * The reference of a plan whose objective needs one, and the initial policy's log-probabilities where a cap on the
 * reference's drift needs them.
 */
export function plannedReference(
  plan: Plan,
  { weights, initial, world }: ReferenceSources,
): { reference?: ReferencePolicy; initialPolicy?: CachedReference } {
  if (!plan.objective.needsReference) return {};
  const { rule, totalSteps, dtypes, average, recipe } = plan;
  const { storage, ...section } = recipe.reference;
  const maxDrift = section.update === 'fixed' ? undefined : section.maxDivergence;
  const upcoming = function* (step: number) {
    for (const planned of plan.steps(step)) yield plan.layOut(planned);
  };
  const cached = (rule: UpdateRule, initial?: ModelWeights) =>
    new CachedReference(weights.model, { rule, totalSteps, upcoming, initial, world });
  return {
    reference:
      storage === 'cached'
        ? cached(rule, initial)
        : new CopiedReference(weights, new ReferenceClock(rule, { maxDrift }), {
            ...{ initial, dtype: dtypes.reference, average },
          }),
    ...(maxDrift !== undefined && { initialPolicy: cached({ update: 'fixed' }) }),
  };
}
