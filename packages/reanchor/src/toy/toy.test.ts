import { noGrad, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { runToy, type ToyMethod, type ToyVariant } from './experiment.js';
import { StackedPolicies } from './policies.js';
import { curves, summarise, toyPlots } from './summary.js';
import { drawPreferences, sftTarget, trajectories } from './tree.js';

const fixed: ToyVariant = { name: 'fixed', rule: { update: 'fixed' } };
const run = (variants: readonly ToyVariant[], method: ToyMethod = 'dpo', steps = 40) =>
  runToy({ seeds: 3, steps, method, beta: 0.5, variants, every: 10 });

test('a policy is a distribution over the 27 trajectories, another one for every seed', () => {
  using policies = StackedPolicies.random([0, 1, 2]);
  const sums = tidy(() => noGrad(() => policies.logprobs().exp().sum([1]).toList())) as number[];
  for (const sum of sums) expect(sum).toBeCloseTo(1, 12);
  const [first, second] = tidy(() => policies.logprobs().toList() as number[]);
  expect(first).not.toBe(second);
});

test('the gradient of a log-probability is that of finite differences', () => {
  using policies = StackedPolicies.random([4]);
  for (const parameter of policies.parameters) parameter.requiresGrad = true;
  const at = () => tidy(() => noGrad(() => policies.logprobs().select(1, 13).sum().item()));
  tidy(() => {
    policies.logprobs().select(1, 13).sum().backward();
    for (const parameter of policies.parameters) {
      const gradient = (parameter.grad!.toList() as number[])[0]!;
      const element = () => parameter.detach().view([-1]).narrow(0, 0, 1);
      const moved = (by: number) => {
        element().add_(by);
        const value = at();
        element().sub_(by);
        return value;
      };
      expect(gradient).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 7);
    }
  });
});

test('chosen and rejected trajectories are distinct, and the SFT target is a distribution that favours them', () => {
  const preferences = drawPreferences(5, 3);
  expect(new Set([...preferences.chosen, ...preferences.rejected]).size).toBe(6);
  const target = sftTarget(preferences);
  expect(target).toHaveLength(trajectories);
  expect(target.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
  expect(
    target[preferences.rejected[0]!]! /
      target.find((_, i) => !preferences.chosen.includes(i) && !preferences.rejected.includes(i))!,
  ).toBeCloseTo(11.5, 10);
});

test.each<ToyMethod>(['dpo', 'ipo', 'kto'])(
  '%s: alpha = 1 is tau = 1, and alpha = 0 is the fixed reference, bit for bit',
  async (method) => {
    const records = async (rule: ToyVariant['rule']) => (await run([{ name: 'one', rule }], method))[0]!.records;
    const still = await records({ update: 'fixed' });
    const moving = await records({ update: 'soft', alpha: 1 });
    expect(moving).toEqual(await records({ update: 'hard', tau: 1 }));
    expect(await records({ update: 'soft', alpha: 0 })).toEqual(still);
    expect(moving).not.toEqual(still);
  },
);

test('variants of one stack are what each is alone, but for rounding', async () => {
  const hard: ToyVariant = { name: 'hard', rule: { update: 'hard', tau: 7 } };
  const [together, alone] = [await run([fixed, hard]), await run([hard])];
  const [a, b] = [together[1]!.records.at(-1)!, alone[0]!.records.at(-1)!];
  for (const seed of [0, 1, 2]) expect(a.chosen[seed]).toBeCloseTo(b.chosen[seed]!, 9);
});

test('the probabilities add up, and KL and margin begin at 0 with a loss of ln 2', async () => {
  const [{ records }] = (await run([fixed])) as [Awaited<ReturnType<typeof run>>[0]];
  for (const { chosen, rejected, ood } of records) {
    for (const [i, value] of chosen.entries()) expect(value + rejected[i]! + ood[i]!).toBeCloseTo(1, 12);
  }
  const [first] = records as [(typeof records)[0]];
  for (const seed of [0, 1, 2]) {
    expect(first.loss[seed]).toBeCloseTo(Math.LN2, 12);
    expect(first.klSft[seed]).toBeCloseTo(0, 12);
    expect(first.weight[seed]).toBeCloseTo(0.5, 12);
    expect(first.curvature[seed]).toBeCloseTo(0.25, 12);
  }
  expect(records.at(-1)!.loss[0]).toBeLessThan(first.loss[0]!);
});

test('a summary is means over the seeds, and every picture shows every variant', async () => {
  const runs = await run([fixed, { name: 'hard', rule: { update: 'hard', tau: 5 } }]);
  const summary = summarise(runs[0]!);
  const last = runs[0]!.records.at(-1)!;
  expect(summary.chosen).toBeCloseTo((last.chosen[0]! + last.chosen[1]! + last.chosen[2]!) / 3, 12);
  expect(summary.worstChosen).toBeLessThanOrEqual(summary.chosen);
  expect(curves(runs[0]!).chosen.low[0]).toBeLessThanOrEqual(curves(runs[0]!).chosen.high[0]!);
  const plots = toyPlots(runs, 'dpo');
  expect(plots.size).toBe(8);
  for (const svg of plots.values()) expect(svg).toContain('>hard<');
});
