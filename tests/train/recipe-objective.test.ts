// The keys of `loss:` reach the loss: a recipe's objective gives the numbers of TRL's tables.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { divergenceLosses } from '#reanchor/losses/methods.js';
import { recipePairMethod } from '#reanchor/planning/objective.js';
import { divergenceTypes } from '#reanchor/recipe/loss-section.js';
import { parseRecipe } from '#reanchor/recipe/parse.js';
import { fixtures } from '../support/repository.js';

interface Line {
  name: string;
  beta: number;
  divergence?: string;
  alpha?: number;
  label_smoothing?: number;
  policy: { chosen: number[]; rejected: number[] };
  reference: { chosen: number[]; rejected: number[] };
  tokens: { chosen: number[]; rejected: number[] };
  loss: number;
}

const lines = readFileSync(join(fixtures, 'losses/dpo.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Line)
  .filter(({ divergence }) => divergence !== undefined);
const f64 = (values: readonly number[]) => tensor(Float64Array.from(values));
const sides = ({ chosen, rejected }: Line['policy']) => ({ chosen_P: f64(chosen), rejected_P: f64(rejected) });

test.each(lines)('$name under $divergence $alpha, as a recipe names it', (line) => {
  const loss = {
    ...(line.name === 'ipo' ? {} : { type: line.name }),
    beta: line.beta,
    fDivergenceType: line.divergence,
    ...(line.alpha === undefined ? {} : { fAlphaDivergenceCoef: line.alpha }),
    ...(line.label_smoothing ? { labelSmoothing: line.label_smoothing } : {}),
  };
  const method = line.name === 'ipo' ? 'ipo' : 'dpo';
  const text = JSON.stringify({ model: 'm', method, loss, data: { train: 'a.jsonl' } });
  const { losses } = tidy(() => {
    const batch = { policy: sides(line.policy), reference: sides(line.reference), tokens: sides(line.tokens) };
    const loss_P = recipePairMethod(parseRecipe(text, { file: 'r.yaml', env: {} })).loss(batch, {
      meanChosenTokens: 1,
    });
    return { losses: loss_P.toList() as number[] };
  });
  const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  expect(Math.abs(mean / line.loss - 1)).toBeLessThan(line.divergence === 'alpha_divergence' ? 1e-5 : 1e-7);
});

test('a recipe takes a divergence with the losses that have one', () => {
  expect([...divergenceTypes].sort()).toEqual([...divergenceLosses].sort());
});
