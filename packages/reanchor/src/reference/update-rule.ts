/**
 * When and how far the reference follows the policy ("Learn Your Reference Model for Real Good Alignment", ICLR 2025,
 * arXiv 2404.09656):
 *
 *     soft:  ref <- alpha policy + (1 - alpha) ref   after every optimizer step
 *     hard:  ref <- policy                           after every tau-th optimizer step
 *     mixed: the soft update, every tau-th step (what TRL's two settings mean together)
 *
 * `plateau` copies the policy whenever training against the current reference has stalled; see `Plateau`.
 */
export type UpdateRule = (
  | { update: 'fixed' }
  | { update: 'soft'; alpha: number }
  | { update: 'hard'; tau: number }
  | { update: 'mixed'; alpha: number; tau: number }
  | ({ update: 'plateau' } & PlateauOptions)
) &
  UpdateLimits;

/** When updates are allowed. Steps are optimizer steps, 1 for the first. */
interface UpdateLimits {
  /** Steps before the reference begins to move; tau is counted from there. Default 0. */
  startAfter?: number | undefined;
  /** The last step after which it may move. Default: no limit. */
  stopAfter?: number | undefined;
  /** Steps, counted from startAfter, over which alpha rises linearly from 0. Default 0. */
  alphaWarmup?: number | undefined;
}

export interface PlateauOptions {
  /** What has to stall: the reward margin of training steps, or the accuracy of evaluations. */
  metric: 'margin' | 'accuracy';
  /** Observations to average over. */
  patience: number;
  /** The gain from one average to the next below which training has stalled. */
  minGain: number;
}

/**
 * The share of the policy in the new reference after optimizer step `step` (1 for the first); 0 when no update is due.
 * A plateau is never due by the step alone.
 */
export function updateShare(rule: UpdateRule, step: number): number {
  const { startAfter = 0, stopAfter = Number.POSITIVE_INFINITY, alphaWarmup = 0 } = rule;
  const moving = step - startAfter;
  if (moving <= 0 || step > stopAfter || rule.update === 'fixed' || rule.update === 'plateau') return 0;
  if (rule.update !== 'soft' && moving % rule.tau !== 0) return 0;
  return rule.update === 'hard' ? 1 : rule.alpha * Math.min(1, moving / Math.max(1, alphaWarmup));
}

/** The steps of a run after which the reference moves, as far as they are known before it starts. */
export function plannedUpdates(rule: UpdateRule, totalSteps: number): number[] {
  return Array.from({ length: totalSteps }, (_, i) => i + 1).filter((step) => updateShare(rule, step) > 0);
}
