/** Runs whose layers compute with kernels, beside those whose layers compute with operators. */
export const fusedLayerRuns: readonly { precision: string; text: string; model: string; tolerance: number }[] = [
  { precision: 'fp32', text: 'method: dpo\nactivationCheckpointing: true', tolerance: 2e-5 },
  { precision: 'fp32', text: 'method: dpo\nadapter: { r: 4, targets: all-linear, dropout: 0.1 }', tolerance: 2e-5 },
  { precision: 'bf16', text: 'method: dpo\nadapter: { r: 4, targets: [up_proj] }', tolerance: 0.02 },
  { precision: 'bf16', text: 'method: kto\nactivationCheckpointing: true', tolerance: 0.02 },
].flatMap((one) => [
  { ...one, model: 'llama-tiny' },
  { ...one, model: 'gpt-neox', text: one.text.replace('up_proj', 'dense_h_to_4h') },
]);

/** Runs whose weights are moved in one pass by a kernel, beside those that operators move. */
export const fusedRuns: readonly { precision: string; text: string; tolerance: number }[] = [
  { precision: 'fp32', text: 'method: dpo', tolerance: 2e-5 },
  {
    precision: 'fp32',
    text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }\nmaxGradNorm: 0.1',
    tolerance: 2e-5,
  },
  {
    precision: 'fp32',
    text: 'method: dpo\nreference: { update: hard, tau: 2, resetOptimizer: true }',
    tolerance: 2e-5,
  },
  {
    precision: 'fp32',
    text: 'method: kto\nreference: { update: soft, alpha: 0.6, startAfter: 1, stopAfter: 2, maxDivergence: 1 }',
    tolerance: 2e-5,
  },
  {
    precision: 'fp32',
    text: 'method: ipo\nreference: { update: plateau, metric: margin, patience: 1, minGain: 100 }',
    tolerance: 2e-5,
  },
  { precision: 'fp32', text: 'method: dpo\nreference: { update: hard, tau: 2, storage: cached }', tolerance: 2e-5 },
  { precision: 'fp32', text: 'method: sft', tolerance: 2e-5 },
  // Kernels round to bfloat16 once where operators do so at each of them.
  { precision: 'bf16', text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }', tolerance: 0.02 },
  { precision: 'bf16', text: 'method: dpo\nreference: { update: hard, tau: 2 }\nmaxGradNorm: 0.1', tolerance: 0.02 },
  { precision: 'bf16-params', text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }', tolerance: 0.05 },
  { precision: 'bf16-params', text: 'method: dpo', tolerance: 0.05 },
];
