// Values and gradients of TRL 1.13: the fixtures' tables (tests/oracle/make_losses.py), and a larger one among the real
// data.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { dataFolder, fixtures } from '../../../../tests/support/repository.js';
import type { Divergence } from './f-divergence.js';
import { kto, ktoKl } from './kto.js';
import { lossOptions, type PairLossName, pairLosses, pairMethod } from './methods.js';

interface NumberSides {
  chosen: number[];
  rejected: number[];
}
interface PairCase {
  title: string;
  names: PairLossName[];
  weights: number[];
  beta: number;
  labelSmoothing: number;
  discopopTau: number;
  divergence: Divergence;
  policy: NumberSides;
  reference: NumberSides;
  tokens: NumberSides;
  loss: number;
  grad: NumberSides;
  tolerance: Tolerance;
}
/** Relative, of a gradient to its largest entry. */
interface Tolerance {
  value: number;
  gradient: number;
}
interface KtoCase {
  title: string;
  beta: number;
  weights: [number, number];
  desirable: boolean[];
  policy: number[];
  reference: number[];
  partners: { policy: number[]; reference: number[] };
  loss: number;
  grad: number[];
  kl: number;
}

const f64 = (values: readonly number[]) => tensor(Float64Array.from(values));
const sides = ({ chosen, rejected }: NumberSides) => ({ chosen_P: f64(chosen), rejected_P: f64(rejected) });
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
// biome-ignore lint/suspicious/noExplicitAny: two table formats, each read by one function below.
type Line = Record<string, any>;
const lines = (path: string): Line[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
const divergenceOf = (type: string | undefined, coefficient: number): Divergence =>
  type === 'alpha_divergence' ? { type, coefficient } : { type: (type as 'js_divergence' | undefined) ?? 'reverse_kl' };
/**
 * TRL's exo_pair takes logarithms of a float32 epsilon (with one, the formula gives its gradients to 5e-15), and its
 * alpha divergence is computed in float32, where a log-probability of -200 is known to 1.5e-5 only. Near an optimum of
 * the loss that is more of the gradient than of the value.
 */
function toleranceOf(names: readonly string[], dtype: string): Tolerance {
  if (dtype === 'float32') return { value: 1e-5, gradient: 5e-5 };
  return names.includes('exo_pair') ? { value: 1e-7, gradient: 2e-7 } : { value: 1e-9, gradient: 1e-9 };
}

const ofFixtures = (line: Line, i: number): PairCase => {
  const names = (line.names ?? [line.name]) as PairLossName[];
  return {
    title: `${i} ${names.join(' + ')} ${line.divergence ?? ''}`,
    names,
    weights: line.weights ?? [1],
    beta: line.beta,
    labelSmoothing: line.label_smoothing ?? 0,
    discopopTau: line.discopop_tau ?? 0.05,
    divergence: divergenceOf(line.divergence, line.alpha),
    policy: line.policy,
    reference: line.reference,
    tokens: line.tokens,
    loss: line.loss,
    grad: line.grad,
    tolerance: toleranceOf(names, line.dtype),
  };
};

const ofTable = (line: Line): PairCase => {
  const names = [line.loss_type].flat() as PairLossName[];
  return {
    title: `${line.id} ${names.join(' + ')}, ${line.kind} ${line.f_divergence_type ?? ''}`,
    names,
    weights: line.loss_weights ?? [1],
    beta: line.beta,
    // TRL drops the smoothing of its sigmoid loss; ours acts, so that it is compared without.
    labelSmoothing: names.includes('sigmoid') ? 0 : (line.label_smoothing ?? 0),
    discopopTau: line.discopop_tau ?? 0.05,
    divergence: divergenceOf(line.f_divergence_type, line.f_alpha_divergence_coef),
    policy: { chosen: line.chosen_logps, rejected: line.rejected_logps },
    reference: { chosen: line.ref_chosen_logps, rejected: line.ref_rejected_logps },
    tokens: { chosen: line.chosen_lengths, rejected: line.rejected_lengths },
    loss: line.loss,
    grad: { chosen: line.grad_chosen, rejected: line.grad_rejected },
    tolerance: toleranceOf(names, line.computed_in),
  };
};

const ofKtoTable = (line: Line): KtoCase => ({
  title: line.id,
  beta: line.beta,
  weights: [line.desirable_weight, line.undesirable_weight],
  desirable: line.labels,
  policy: line.logps,
  reference: line.ref_logps,
  partners: { policy: line.kl_logps, reference: line.ref_kl_logps },
  loss: line.loss,
  grad: line.grad,
  kl: line.kl,
});

function expectPairs({ names, weights, policy, reference, tokens, loss, grad, tolerance, ...options }: PairCase): void {
  const method = pairMethod({
    ...options,
    types: names.map((name, i) => ({ name, weight: weights[i]! })),
    lengthNormalize: true,
    clipReferenceMargin: false,
    nllWeight: 0,
  });
  tidy(() => {
    const batch = { policy: sides(policy), reference: sides(reference), tokens: sides(tokens) };
    for (const side of Object.values(batch.policy)) side.requiresGrad = true;
    const ours = method.loss(batch, { meanChosenTokens: mean(tokens.chosen) }).mean();
    ours.backward();
    expect([ours.item()]).toBeCloseToTensor([loss], tolerance.value);
    const gradient = ({ grad: given, shape }: Tensor) => given?.toList() ?? new Array<number>(shape[0]!).fill(0);
    expectGradient(gradient(batch.policy.chosen_P) as number[], grad.chosen, tolerance.gradient);
    expectGradient(gradient(batch.policy.rejected_P) as number[], grad.rejected, tolerance.gradient);
  });
}

/** Relative to the largest entry, and to the last digits of 1 where 1 - sigma has lost its own. */
function expectGradient(ours: number[], theirs: number[], tolerance: number): void {
  const scale = Math.max(1e-6, ...theirs.map(Math.abs));
  expect(ours.map((value) => value / scale)).toBeCloseToTensor(
    theirs.map((value) => value / scale),
    tolerance,
  );
}

function expectKto({ beta, weights, desirable, policy, reference, partners, ...expected }: KtoCase): void {
  tidy(() => {
    const { kl } = ktoKl(f64(partners.policy), f64(partners.reference));
    expect(kl).toBeCloseTo(expected.kl, 9);
    const policy_R = f64(policy);
    policy_R.requiresGrad = true;
    const batch = { policy_R, reference_R: f64(reference), isDesirable_R: f64(desirable.map(Number)) };
    const [desirableWeight, undesirableWeight] = weights;
    const loss = kto(batch, kl, { beta, desirableWeight, undesirableWeight }).mean();
    loss.backward();
    expect([loss.item()]).toBeCloseToTensor([expected.loss], 1e-9);
    expectGradient(policy_R.grad!.toList() as number[], expected.grad, 1e-9);
  });
}

const ours = join(fixtures, 'losses');
const pairCases = lines(join(ours, 'dpo.jsonl')).map(ofFixtures);

describe("the fixtures' table", () => {
  test.each(pairCases)('pairs: $title', expectPairs);
  test.each(lines(join(ours, 'kto.jsonl')).map((line, i) => ({ ...line, title: `${i}` }) as KtoCase))(
    'KTO: $title',
    expectKto,
  );

  test('has every loss that TRL has, and every divergence with each loss that takes one', () => {
    const plain = new Set(pairCases.flatMap(({ names }) => names));
    expect([...plain, 'kto_pair'].sort()).toEqual(Object.keys(pairLosses).sort());
    for (const [name, options] of Object.entries(lossOptions)) {
      const seen = pairCases.filter(({ names, divergence }) => names[0] === name && divergence.type !== 'reverse_kl');
      const types = new Set(seen.map(({ divergence }) => divergence.type));
      expect(types.size, name).toBe(options.includes('divergence') ? 3 : 0);
    }
  });
});

const folder = dataFolder && join(dataFolder, 'parity/losses');
const isThere = folder !== undefined && existsSync(folder);
const table = (name: string) => (isThere ? lines(join(folder, name)) : []);

describe.skipIf(!isThere)('the table among the real data', () => {
  test.each(table('dpo.jsonl').map(ofTable))('pairs: $title', expectPairs);
  test.each(
    table('kto.jsonl')
      .filter(({ loss_type }) => loss_type === 'kto')
      .map(ofKtoTable),
  )('KTO: $title', expectKto);
});
