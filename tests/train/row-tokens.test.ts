// What `reanchor tokens` shows: every token of a row, and which of them are scored.
import { expect, test } from 'vitest';
import { parseRecipe } from '../../packages/reanchor/src/runs/index.js';
import { rowTokens } from '../../packages/reanchor/src/train/row-tokens.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const recipe = (method: string) =>
  parseRecipe(`model: ${tinyModel}\nmethod: ${method}\ndata: { train: ${tinyPairs}, maxLength: 96 }\n`, {
    file: 'r.yaml',
    env: {},
  });
const textOf = (tokens: { text: string }[]) => tokens.map(({ text }) => text).join('');

test('pairs: the prompt is read, both completions are scored to their end', async () => {
  const { rows } = await rowTokens(recipe('dpo'), 2);
  expect(rows).toHaveLength(2);
  expect(rows[0]!.parts.map(({ name }) => name)).toEqual(['prompt', 'chosen', 'rejected']);
  const [prompt, chosen] = rows[0]!.parts as [(typeof rows)[0]['parts'][0], (typeof rows)[0]['parts'][0]];
  expect(prompt.tokens.some(({ isScored }) => isScored)).toBe(false);
  expect(chosen.tokens.every(({ isScored }) => isScored)).toBe(true);
  expect(textOf(prompt.tokens)).toContain('Human:');
});

test('KTO: each row has its label; SFT: the chosen completion is the text', async () => {
  const kto = await rowTokens(recipe('kto'), 1);
  expect(kto.rows.map(({ parts }) => parts[1]!.name)).toEqual(['desirable', 'undesirable']);
  const sft = await rowTokens(recipe('sft'), 1);
  expect(textOf(sft.rows[0]!.parts[1]!.tokens)).toBe(textOf(kto.rows[0]!.parts[1]!.tokens));
});
