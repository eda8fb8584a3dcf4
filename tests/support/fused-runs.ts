/** Runs whose weights are moved in one pass by a kernel, beside those that operators move. */
export const fusedRuns: readonly { precision: string; text: string; tolerance: number }[] = [
  { precision: 'fp32', text: 'method: dpo', tolerance: 2e-6 },
  {
    precision: 'fp32',
    text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }\nmaxGradNorm: 0.1',
    tolerance: 2e-6,
  },
  {
    precision: 'fp32',
    text: 'method: dpo\nreference: { update: hard, tau: 2, resetOptimizer: true }',
    tolerance: 2e-6,
  },
  {
    precision: 'fp32',
    text: 'method: kto\nreference: { update: soft, alpha: 0.6, startAfter: 1, stopAfter: 2, maxDivergence: 1 }',
    tolerance: 2e-6,
  },
  {
    precision: 'fp32',
    text: 'method: ipo\nreference: { update: plateau, metric: margin, patience: 1, minGain: 100 }',
    tolerance: 2e-6,
  },
  { precision: 'fp32', text: 'method: dpo\nreference: { update: hard, tau: 2, storage: cached }', tolerance: 2e-6 },
  { precision: 'fp32', text: 'method: sft', tolerance: 2e-6 },
  // Numbers at the border of two of bfloat16 may go either way.
  { precision: 'bf16', text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }', tolerance: 2e-3 },
  { precision: 'bf16', text: 'method: dpo\nreference: { update: hard, tau: 2 }\nmaxGradNorm: 0.1', tolerance: 2e-3 },
  { precision: 'bf16-params', text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }', tolerance: 0.02 },
  { precision: 'bf16-params', text: 'method: dpo', tolerance: 0.02 },
];
