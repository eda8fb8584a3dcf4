/**
 * When and how far the reference follows the policy ("Learn Your Reference Model for Real Good Alignment", ICLR 2025,
 * arXiv 2404.09656):
 *
 *     soft:  ref <- alpha policy + (1 - alpha) ref   after every optimizer step
 *     hard:  ref <- policy                           after every tau-th optimizer step
 *     mixed: the soft update, every tau-th step (what TRL's two settings mean together)
 */
export type UpdateRule =
  | { update: 'fixed' }
  | { update: 'soft'; alpha: number }
  | { update: 'hard'; tau: number }
  | { update: 'mixed'; alpha: number; tau: number };

/**
 * The share of the policy in the new reference after optimizer step `step` (1 for the first); 0 when no update is due.
 */
export function updateShare(rule: UpdateRule, step: number): number {
  switch (rule.update) {
    case 'fixed':
      return 0;
    case 'soft':
      return rule.alpha;
    case 'hard':
      return step % rule.tau === 0 ? 1 : 0;
    case 'mixed':
      return step % rule.tau === 0 ? rule.alpha : 0;
  }
}
