// Runs with `kernels: fused`, and what has to hold of each on a simulated device beside the same run of operators.
import { startProfile, stopProfile } from '@reanchor/torch';
import { expect } from 'vitest';
import { loadModel } from '#reanchor/models/load.js';
import { expectSameRun, runOn } from './device-runs.js';
import { simulateCuda } from './simulated-cuda/load.js';
import { weights } from './training.js';

interface FusedRun {
  precision: string;
  text: string;
  tolerance: number;
  /** Whether it is one of those that every run of the tests makes. */
  isSampled?: boolean;
}

interface FusedLayerRun extends FusedRun {
  model: string;
}

/** A run of operators, the same one by kernels, and the operators that the latter called. */
export async function bothRuns({ precision, text, model }: FusedRun & { model?: string }, generate = false) {
  const one = { ...(model !== undefined && { model }), generate };
  const whole = `${text}\nprecision: ${precision}`;
  const composed = await runOn('cuda', { ...one, text: whole });
  startProfile();
  const fused = await runOn('cuda', { ...one, text: `${whole}\nkernels: fused` });
  return { composed, fused, names: stopProfile().map(({ name }) => name) };
}

/** A run whose steps kernels make has the numbers and the weights of one of operators, in one pass a step. */
export async function expectFusedSteps(one: FusedRun): Promise<void> {
  await simulateCuda();
  const { composed, fused, names } = await bothRuns(one);
  expect(names.filter((name) => name === 'reanchor::update_')).toHaveLength(4);
  for (const name of ['aten::_fused_adamw_', 'reanchor::move_towards_', 'reanchor::squared_distance']) {
    expect(names).not.toContain(name);
  }
  expectSameRun(fused, composed, one.tolerance);
  const kinds = ({ events }: typeof fused) => events.map(({ type }) => type);
  expect(kinds(fused)).toEqual(kinds(composed));
  using ours = await loadModel(fused.final, { dtype: 'float64' });
  using theirs = await loadModel(composed.final, { dtype: 'float64' });
  expect(weights(ours)).toBeCloseToTensor(weights(theirs), one.precision === 'fp32' ? 5e-5 : 0.01);
}

/** A run whose layers compute by kernels has the numbers of one of operators. */
export async function expectFusedLayers(one: FusedLayerRun): Promise<void> {
  await simulateCuda();
  const { composed, fused, names } = await bothRuns(one, one.precision === 'fp32');
  expect(names).toContain('reanchor::heads');
  if (one.model === 'llama-tiny') expect(names).toContain('reanchor::swiglu');
  for (const name of ['aten::silu', 'reanchor::rotate']) expect(names).not.toContain(name);
  expectSameRun(fused, composed, one.tolerance);
}

/** Runs whose layers compute with kernels, beside those whose layers compute with operators. */
export const fusedLayerRuns: readonly FusedLayerRun[] = [
  { precision: 'fp32', text: 'method: dpo\nactivationCheckpointing: true', tolerance: 2e-5 },
  {
    precision: 'fp32',
    text: 'method: dpo\nadapter: { r: 4, targets: all-linear, dropout: 0.1 }',
    tolerance: 2e-5,
    isSampled: true,
  },
  { precision: 'bf16', text: 'method: dpo\nadapter: { r: 4, targets: [up_proj] }', tolerance: 0.02 },
  { precision: 'bf16', text: 'method: kto\nactivationCheckpointing: true', tolerance: 0.02, isSampled: true },
].flatMap((one) => [
  { ...one, model: 'llama-tiny' },
  { ...one, model: 'gpt-neox', text: one.text.replace('up_proj', 'dense_h_to_4h') },
]);

/** Runs whose weights are moved in one pass by a kernel, beside those that operators move. */
export const fusedRuns: readonly FusedRun[] = [
  { precision: 'fp32', text: 'method: dpo', tolerance: 2e-5 },
  {
    precision: 'fp32',
    text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }\nmaxGradNorm: 0.1',
    tolerance: 2e-5,
    isSampled: true,
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
  {
    precision: 'bf16',
    text: 'method: dpo\nreference: { update: hard, tau: 2 }\nmaxGradNorm: 0.1',
    tolerance: 0.02,
    isSampled: true,
  },
  { precision: 'bf16-params', text: 'method: dpo\nreference: { update: soft, alpha: 0.3 }', tolerance: 0.05 },
  { precision: 'bf16-params', text: 'method: dpo', tolerance: 0.05 },
];
