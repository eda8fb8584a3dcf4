/** Scores that every answer has: its AFINN valence, its tokens, its -log p under the initial model, its log-ratio. */
export const builtInScores = ['afinn', 'length', 'surprise', 'kl'] as const;
