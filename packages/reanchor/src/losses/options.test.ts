// What lossOptions and the lists beside it say of each loss is what the loss does; options that cannot be are refused.
import { tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import {
  clippableLosses,
  divergenceLosses,
  lossOptions,
  type PairLossName,
  type PairLossOptions,
  pairLosses,
  pairMethod,
} from './methods.js';
import type { PairBatch } from './pair-batch.js';

const f64 = (values: readonly number[]) => tensor(Float64Array.from(values));
const sides = (chosen: readonly number[], rejected: readonly number[]) => ({
  chosen_P: f64(chosen),
  rejected_P: f64(rejected),
});
const names = Object.keys(pairLosses) as PairLossName[];

/** Options that every loss accepts; IPO in the form that can be clipped. */
const plain = (name: PairLossName, changes: Partial<PairLossOptions> = {}): PairLossOptions => ({
  types: [{ name, weight: 1 }],
  beta: 0.2,
  labelSmoothing: name === 'exo_pair' ? 0.05 : 0,
  lengthNormalize: false,
  discopopTau: 0.5,
  clipReferenceMargin: false,
  nllWeight: 0,
  ...changes,
});

// Two pairs, the reference of the first of which prefers the rejected completion.
const batch = (): PairBatch => ({
  policy: sides([-8, -6.5], [-6, -9]),
  reference: sides([-10, -7], [-5, -8.2]),
  tokens: sides([4, 3], [2, 7]),
});
const lossesOf = (options: PairLossOptions, of = batch()) =>
  tidy(() => pairMethod(options).loss(of, { meanChosenTokens: 3.5 }).toList() as number[]);

const changes: Omit<{ [Option in keyof PairLossOptions]-?: Partial<PairLossOptions> }, 'types'> = {
  beta: { beta: 0.3 },
  labelSmoothing: { labelSmoothing: 0.2 },
  lengthNormalize: { lengthNormalize: true },
  discopopTau: { discopopTau: 2 },
  clipReferenceMargin: { clipReferenceMargin: true },
  nllWeight: { nllWeight: 0.5 },
  divergence: { divergence: { type: 'js_divergence' } },
};

describe.each(names)('%s', (name) => {
  test.each(Object.keys(changes) as (keyof typeof changes)[])(
    '%s has an effect if it is listed, and none if not',
    (option) => {
      const before = lossesOf(plain(name));
      const changed = () => lossesOf(plain(name, changes[option]));
      if (lossOptions[name].includes(option)) expect(changed()).not.toEqual(before);
      else if (['labelSmoothing', 'clipReferenceMargin', 'divergence'].includes(option))
        expect(changed).toThrow(RangeError);
      else expect(changed()).toEqual(before);
    },
  );

  test('couples pairs if it says so: another second pair changes the loss of the first', () => {
    const other = (): PairBatch => ({ ...batch(), policy: sides([-8, -30], [-6, -0.5]) });
    const first = lossesOf(plain(name))[0]!;
    const withOther = lossesOf(plain(name), other())[0]!;
    if (pairMethod(plain(name)).couplesPairs) expect(withOther).not.toBeCloseTo(first, 6);
    else expect(withOther).toBe(first);
  });

  test('far from the reference, on both sides, losses and gradients are numbers', () => {
    for (const by of [-2000, -60, 60, 2000]) {
      tidy(() => {
        const far: PairBatch = {
          policy: sides([-10 + by, -5], [-12 - by, -6]),
          reference: sides([-10, -7], [-12, -8]),
          tokens: sides([4, 3], [2, 7]),
        };
        for (const side of Object.values(far.policy)) side.requiresGrad = true;
        const loss_P = pairMethod(plain(name)).loss(far, { meanChosenTokens: 3.5 });
        loss_P.sum().backward();
        const numbers = [loss_P, ...Object.values(far.policy).flatMap(({ grad }) => grad ?? [])];
        for (const value of numbers.flatMap((values) => values.toList() as number[]))
          expect(value).toSatisfy(Number.isFinite);
      });
    }
  });
});

test.each(clippableLosses)('%s sees the margin of a reference alone: both sides may move by as much', (name) => {
  const shifted = (): PairBatch => ({ ...batch(), reference: sides([-13, -5], [-8, -6.2]) });
  const [here, there] = [lossesOf(plain(name)), lossesOf(plain(name), shifted())];
  for (const [i, value] of here.entries()) expect(there[i]).toBeCloseTo(value, 12);
});

test('labels of pairs that are the wrong way round are smoothed: 0.9 log(1 + exp(-1.5)) + 0.1 log(1 + exp(1.5))', () => {
  const of: PairBatch = { policy: sides([-8], [-6]), reference: sides([-10], [-5]), tokens: sides([1], [1]) };
  expect(lossesOf(plain('sigmoid', { beta: 0.5, labelSmoothing: 0.1 }), of)[0]).toBeCloseTo(0.3514132779827524, 14);
});

test('the mean of sft over the pairs of a step is the mean over their chosen tokens', () => {
  const losses = lossesOf(plain('sft'));
  expect((losses[0]! + losses[1]!) / 2).toBeCloseTo((8 + 6.5) / (4 + 3), 14);
});

test('where policy and reference are equal a clipped reference is another one, and no value is promised', () => {
  expect(pairMethod(plain('sigmoid', { clipReferenceMargin: true })).atReference).toBeUndefined();
  expect(pairMethod(plain('sigmoid', { nllWeight: 0.1 })).atReference).toBeUndefined();
  for (const name of divergenceLosses) {
    const options = plain(name, { divergence: { type: 'alpha_divergence', coefficient: 0.5 } });
    const same = () => sides([-8, -6.5], [-6, -9]);
    const losses = lossesOf(options, { ...batch(), policy: same(), reference: same() });
    for (const loss of losses) expect(loss).toBeCloseTo(pairMethod(options).atReference!, 12);
  }
});

test('options that cannot be are refused, with what was given and what is allowed', () => {
  const refused = (name: PairLossName, given: Partial<PairLossOptions>) =>
    expect(() => pairMethod(plain(name, given)), JSON.stringify(given));
  refused('sigmoid', { types: [] }).toThrow('types names no loss; at least one is needed');
  refused('sigmoid', { types: [{ name: 'sigmoid', weight: -1 }] }).toThrow(
    'the weight of sigmoid is -1; allowed: numbers from 0',
  );
  refused('sigmoid', { types: [{ name: 'sigmoid', weight: 0 }] }).toThrow('the weights of all losses are 0');
  refused('sigmoid', { types: [1, 2].map((weight) => ({ name: 'hinge', weight }) as const) }).toThrow(
    'hinge is named twice',
  );
  refused('sigmoid', { types: [{ name: 'simpo' as PairLossName, weight: 1 }] }).toThrow(
    'there is no loss simpo; there are sigmoid,',
  );
  for (const beta of [0, -1, Number.NaN, Infinity])
    refused('ipo', { beta }).toThrow(`beta is ${beta}; allowed: numbers above 0`);
  refused('sigmoid', { labelSmoothing: -0.1 }).toThrow('labelSmoothing is -0.1; allowed: 0 to below 0.5');
  refused('discopop', { discopopTau: 0 }).toThrow('discopopTau is 0; allowed: numbers above 0');
  refused('sigmoid', { nllWeight: -1 }).toThrow('nllWeight is -1; allowed: numbers from 0');
  refused('ipo', { clipReferenceMargin: true, lengthNormalize: true }).toThrow('if lengthNormalize is false');
  refused('sigmoid', { clipReferenceMargin: true, divergence: { type: 'forward_kl' } }).toThrow(
    'goes with reverse_kl, not with forward_kl',
  );
  refused('ipo', { divergence: { type: 'alpha_divergence', coefficient: Number.NaN } }).toThrow(
    'coefficient of alpha_divergence is NaN',
  );
});
