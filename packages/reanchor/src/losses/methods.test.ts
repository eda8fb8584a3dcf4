import { type Tensor, tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { underDivergence } from './f-divergence.js';
import { kto, ktoKl } from './kto.js';
import { type PairLossName, type PairLossOptions, pairLosses, pairMethod } from './methods.js';
import { clipReferenceMargin, type PairBatch } from './pair-batch.js';

const f64 = (values: readonly number[]) => tensor(Float64Array.from(values));
const sides = (chosen: readonly number[], rejected: readonly number[]) => ({
  chosen_P: f64(chosen),
  rejected_P: f64(rejected),
});
const names = Object.keys(pairLosses) as PairLossName[];

function optionsOf(name: PairLossName, changes: Partial<PairLossOptions> = {}): PairLossOptions {
  return {
    types: [{ name, weight: 1 }],
    beta: 0.5,
    labelSmoothing: name === 'exo_pair' ? 0.1 : 0,
    lengthNormalize: true,
    discopopTau: 0.05,
    clipReferenceMargin: false,
    nllWeight: 0,
    ...changes,
  };
}

const context = { meanChosenTokens: 4 };
const lossOf = (options: PairLossOptions, batch: PairBatch) =>
  pairMethod(options).loss(batch, context).toList() as number[];

// Log-ratios 2 and -1, so h = 3, z = 1.5, r_w = 1, r_l = -0.5 with beta = 0.5; 4 and 2 tokens.
const worked = (): PairBatch => ({
  policy: sides([-8], [-6]),
  reference: sides([-10], [-5]),
  tokens: sides([4], [2]),
});
const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const softplus = (x: number) => Math.log1p(Math.exp(x));

const byHand: Record<PairLossName, number> = {
  sigmoid: softplus(-1.5),
  hinge: 0,
  // (2 / 4 - -1 / 2 - 1 / (2 0.5))^2
  ipo: 0,
  exo_pair: sigma(1.5) * (-softplus(-1.5) - Math.log(0.9)) + sigma(-1.5) * (-softplus(1.5) - Math.log(0.1)),
  nca_pair: softplus(-1) + softplus(1) / 2 + softplus(-0.5) / 2,
  robust: softplus(-1.5),
  bco_pair: softplus(-1) + softplus(-0.5),
  sppo_hard: 1,
  aot: softplus(-1.5),
  aot_unpaired: softplus(-1.5),
  apo_zero: 1 - sigma(1) + sigma(-0.5),
  apo_down: sigma(1) + 1 - sigma(1.5),
  discopop: (1 - sigma(30)) * softplus(-1.5) + sigma(30) * Math.exp(-1.5),
  sigmoid_norm: softplus(-0.5),
  sft: 2,
  // KL_w = 2, KL_l = 0
  kto_pair: (sigma(-1) + sigma(-1.5)) / 2,
};

describe.each(names)('%s', (name) => {
  test('equals what is worked by hand', () => {
    tidy(() => expect(lossOf(optionsOf(name), worked())[0]).toBeCloseTo(byHand[name], 12));
  });

  test('has its stated value where policy and reference are equal, for any beta', () => {
    tidy(() => {
      const same = sides([-3, -70], [-4, -1]);
      for (const beta of [0.02, 0.5, 4]) {
        const options = optionsOf(name, { beta });
        const { atReference } = pairMethod(options);
        const values = lossOf(options, { policy: same, reference: same, tokens: sides([3, 9], [4, 1]) });
        if (atReference !== undefined) for (const value of values) expect(value / atReference).toBeCloseTo(1, 12);
        else expect(name).toBe('sft');
      }
    });
  });

  test('has the gradient of finite differences', () => {
    const options = optionsOf(name, { beta: 0.3, labelSmoothing: smoothing(name) });
    const values = [-10, -9, -29, -10.5, -7, -31];
    const batchOf = (x: readonly number[]): PairBatch => ({
      policy: sides(x.slice(0, 3), x.slice(3)),
      // No two log-ratios of a side are equal: sorting has a kink there.
      reference: sides([-11, -7.5, -30.4], [-9, -8, -28]),
      tokens: sides([5, 6, 12], [4, 3, 20]),
    });
    tidy(() => {
      const batch = batchOf(values);
      for (const side of Object.values(batch.policy)) side.requiresGrad = true;
      pairMethod(options).loss(batch, context).sum().backward();
      const gradients = Object.values(batch.policy).flatMap(
        (side: Tensor) => (side.grad?.toList() as number[] | undefined) ?? [0, 0, 0],
      );
      const total = (x: readonly number[]) => lossOf(options, batchOf(x)).reduce((sum, value) => sum + value, 0);
      const h = 1e-5;
      for (const [i, gradient] of gradients.entries()) {
        const moved = (by: number) => total(values.map((value, j) => (i === j ? value + by : value)));
        expect(gradient, `by log-probability ${i}`).toBeCloseTo((moved(h) - moved(-h)) / (2 * h), 7);
      }
    });
  });

  test('does not let a gradient into the reference or the rewards', () => {
    tidy(() => {
      const batch = worked();
      batch.policy.chosen_P.requiresGrad = true;
      expect(pairMethod(optionsOf(name)).rewards(batch).chosen_P.requiresGrad).toBe(false);
    });
  });
});

const smoothing = (name: PairLossName) =>
  ['sigmoid', 'exo_pair', 'robust', 'aot', 'aot_unpaired'].includes(name) ? 0.15 : 0;

test('IPO without normalisation takes the sums: (3 - 1)^2', () => {
  tidy(() => expect(lossOf(optionsOf('ipo', { lengthNormalize: false }), worked())).toEqual([4]));
});

test('the gradient of DPO after an update is -beta/2 (d log pi_w - d log pi_l), not 0', () => {
  tidy(() => {
    const same = sides([-3], [-4]);
    const policy = sides([-3], [-4]);
    policy.chosen_P.requiresGrad = true;
    const batch = { policy, reference: same, tokens: sides([1], [1]) };
    pairMethod(optionsOf('sigmoid', { beta: 0.2 }))
      .loss(batch, context)
      .sum()
      .backward();
    expect(policy.chosen_P.grad!.item()).toBeCloseTo(-0.1, 14);
  });
});

test('a mixture is the weighted sum, NLL on chosen completions included', () => {
  tidy(() => {
    const mixed = optionsOf('sigmoid', {
      types: [
        { name: 'sigmoid', weight: 0.8 },
        { name: 'bco_pair', weight: 0.2 },
      ],
      nllWeight: 0.5,
    });
    expect(lossOf(mixed, worked())[0]).toBeCloseTo(0.8 * byHand.sigmoid + 0.2 * byHand.bco_pair + 0.5 * byHand.sft, 12);
  });
});

test('robust DPO is unbiased: over labels flipped with probability eps its mean is the loss of clean labels', () => {
  tidy(() => {
    const clean = optionsOf('robust', { labelSmoothing: 0.2 });
    const { policy, reference, tokens } = worked();
    const flip = (x: PairBatch['policy']) => ({ chosen_P: x.rejected_P, rejected_P: x.chosen_P });
    const flipped = { policy: flip(policy), reference: flip(reference), tokens: flip(tokens) };
    const mean = 0.8 * lossOf(clean, worked())[0]! + 0.2 * lossOf(clean, flipped)[0]!;
    expect(mean).toBeCloseTo(byHand.sigmoid, 12);
  });
});

test('AOT sorts: which pair a margin belongs to does not matter', () => {
  tidy(() => {
    const [a, b] = [sides([-8, -3], [-6, -9]), sides([-3, -8], [-9, -6])];
    const reference = sides([-10, -4], [-5, -6]);
    const tokens = sides([4, 4], [2, 2]);
    const losses = [a, b].map((policy) => lossOf(optionsOf('aot'), { policy, reference, tokens }));
    expect(losses[0]).toEqual(losses[1]);
    expect(pairMethod(optionsOf('aot')).couplesPairs).toBe(true);
  });
});

test('HyPO: a reference that prefers the rejected completion counts as indifferent, another one as it is', () => {
  tidy(() => {
    const { chosen_P, rejected_P } = clipReferenceMargin(sides([-10, -4], [-5, -6]));
    expect(chosen_P.toList()).toEqual([-5, -4]);
    expect(rejected_P.toList()).toEqual([-5, -6]);
    // The policy prefers the rejected one by 2: z = beta (-2 - 0), not beta (-2 + 5).
    expect(lossOf(optionsOf('sigmoid', { clipReferenceMargin: true }), worked())[0]).toBeCloseTo(softplus(1), 12);
  });
});

test('other divergences have the slope of the reverse KL at the reference, where all are 0', () => {
  for (const divergence of [
    { type: 'forward_kl' },
    { type: 'js_divergence' },
    { type: 'alpha_divergence', coefficient: 0.5 },
  ] as const) {
    tidy(() => {
      const at = (x: number) =>
        underDivergence(
          { policy: sides([x], [0]), reference: sides([0], [0]), tokens: sides([1], [1]) },
          divergence,
        ).policy.chosen_P.item();
      expect(at(0)).toBeCloseTo(0, 14);
      expect((at(1e-6) - at(-1e-6)) / 2e-6).toBeCloseTo(divergence.type === 'js_divergence' ? 0.5 : 1, 8);
    });
  }
});

test('options that a loss cannot have, or that have no effect, are refused with a reason', () => {
  expect(() => pairMethod(optionsOf('exo_pair', { labelSmoothing: 0 }))).toThrow(/1e-3 is advised/);
  expect(() => pairMethod(optionsOf('hinge', { labelSmoothing: 0.1 }))).toThrow(/no effect on hinge/);
  expect(() => pairMethod(optionsOf('robust', { labelSmoothing: 0.5 }))).toThrow(/0 to below 0.5/);
  expect(() => pairMethod(optionsOf('apo_zero', { clipReferenceMargin: true }))).toThrow(/not for apo_zero/);
});

describe('KTO', () => {
  const options = { beta: 0.5, desirableWeight: 1, undesirableWeight: 1.2 };
  const batch = (policy: number[], reference: number[], labels: number[]) => ({
    policy_R: f64(policy),
    reference_R: f64(reference),
    isDesirable_R: f64(labels),
  });

  test('equals what is worked by hand: log-ratio 2 against a KL of 0.5', () => {
    tidy(() => {
      const losses = kto(batch([-8, -8], [-10, -10], [1, 0]), 0.5, options).toList() as number[];
      expect(losses[0]).toBeCloseTo(1 - sigma(0.5 * 1.5), 14);
      expect(losses[1]).toBeCloseTo(1.2 * (1 - sigma(-0.5 * 1.5)), 14);
    });
  });

  test('is half the weight where policy and reference are equal', () => {
    tidy(() => expect(kto(batch([-8, -9], [-8, -9], [1, 0]), 0, options).toList()).toEqual([0.5, 0.6]));
  });

  test('has the gradient of finite differences, none of it through the KL', () => {
    const policy = [-10, -9, -29];
    const of = (x: number[]) => kto(batch(x, [-11, -7, -30], [1, 0, 1]), 0.7, options);
    tidy(() => {
      const given = batch(policy, [-11, -7, -30], [1, 0, 1]);
      given.policy_R.requiresGrad = true;
      kto(given, 0.7, options).sum().backward();
      for (const [i, gradient] of (given.policy_R.grad!.toList() as number[]).entries()) {
        const at = (by: number) =>
          of(policy.map((x, j) => (i === j ? x + by : x)))
            .sum()
            .item();
        expect(gradient).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 8);
      }
    });
  });

  test('the KL is the mean log-ratio of mismatched completions, not below 0', () => {
    tidy(() => {
      expect(ktoKl(f64([-8, -9]), f64([-10, -8]))).toEqual({ kl: 0.5, rawKl: 0.5 });
      expect(ktoKl(f64([-10]), f64([-8]))).toEqual({ kl: 0, rawKl: -2 });
    });
  });
});
