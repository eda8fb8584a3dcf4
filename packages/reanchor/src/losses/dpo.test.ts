import { type Tensor, tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { dpo, dpoAtReference } from './dpo.js';

const f64 = (values: number[]) => tensor(values, { dtype: 'float64' });
const pair = (chosen: number[], rejected: number[]) => ({ chosen_P: f64(chosen), rejected_P: f64(rejected) });

test('worked by hand: beta 0.5, log-ratios 2 and -1 make z = 1.5 and loss = log(1 + exp(-1.5))', () => {
  tidy(() => {
    const { loss_P, chosenRewards_P, rejectedRewards_P } = dpo(pair([-8], [-6]), pair([-10], [-5]), {
      beta: 0.5,
      labelSmoothing: 0,
    });
    expect(loss_P.item()).toBeCloseTo(0.2014132779827524, 14);
    expect(chosenRewards_P.item()).toBe(1);
    expect(rejectedRewards_P.item()).toBe(-0.5);
  });
});

test('label smoothing mixes the losses of both orders: 0.9 log(1 + exp(-1.5)) + 0.1 log(1 + exp(1.5))', () => {
  tidy(() => {
    const { loss_P } = dpo(pair([-8], [-6]), pair([-10], [-5]), { beta: 0.5, labelSmoothing: 0.1 });
    expect(loss_P.item()).toBeCloseTo(0.3514132779827524, 14);
  });
});

test('where policy and reference are equal the loss is ln 2, for any beta and smoothing', () => {
  tidy(() => {
    const same = pair([-3, -700], [-4, -1]);
    for (const options of [
      { beta: 0.01, labelSmoothing: 0 },
      { beta: 5, labelSmoothing: 0.2 },
    ]) {
      for (const loss of dpo(same, same, options).loss_P.toList()) expect(loss).toBeCloseTo(dpoAtReference, 15);
    }
  });
});

test('far from the reference the loss is finite and its gradient does not vanish on the wrong side', () => {
  tidy(() => {
    const policy = pair([-2000], [-10]);
    policy.chosen_P.requiresGrad = true;
    const { loss_P } = dpo(policy, pair([-10], [-10]), { beta: 1, labelSmoothing: 0 });
    expect(loss_P.item()).toBeCloseTo(1990, 9);
    loss_P.sum().backward();
    expect(policy.chosen_P.grad!.item()).toBeCloseTo(-1, 12);
  });
});

test.each([0, 0.15])('gradients equal finite differences, label smoothing %s', (labelSmoothing) => {
  tidy(() => {
    const options = { beta: 0.3, labelSmoothing };
    const reference = pair([-11, -7.5, -30], [-9, -8, -28]);
    const values = { chosen: [-10, -9, -29], rejected: [-10.5, -7, -31] };
    const policy = pair(values.chosen, values.rejected);
    policy.chosen_P.requiresGrad = true;
    policy.rejected_P.requiresGrad = true;
    dpo(policy, reference, options).loss_P.sum().backward();

    const at = (chosen: number[], rejected: number[]) =>
      dpo(pair(chosen, rejected), reference, options).loss_P.sum().item();
    const h = 1e-5;
    const shifted = (list: number[], i: number, by: number) => list.map((value, j) => (i === j ? value + by : value));
    for (let i = 0; i < 3; i++) {
      const chosen =
        (at(shifted(values.chosen, i, h), values.rejected) - at(shifted(values.chosen, i, -h), values.rejected)) /
        (2 * h);
      const rejected =
        (at(values.chosen, shifted(values.rejected, i, h)) - at(values.chosen, shifted(values.rejected, i, -h))) /
        (2 * h);
      expect((policy.chosen_P.grad as Tensor).toList()[i]).toBeCloseTo(chosen, 9);
      expect((policy.rejected_P.grad as Tensor).toList()[i]).toBeCloseTo(rejected, 9);
    }
  });
});
