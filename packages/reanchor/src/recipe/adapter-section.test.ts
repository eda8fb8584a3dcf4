import { expect, test } from 'vitest';
import type { RecipeError } from '../errors.js';
import { parseRecipe } from './parse.js';

/** What is wrong with these lines of a recipe. */
function problems(lines: string): readonly string[] {
  try {
    parseRecipe(`model: m\nmethod: dpo\ndata: { train: a.jsonl }\n${lines}\n`, { file: 'r.yaml', env: {} });
  } catch (error) {
    return (error as RecipeError).problems;
  }
  throw new Error('the recipe was accepted');
}

test.each([
  ['quantize: nf4', /^quantize: .*weights that are trained cannot be kept in 4 bits: add an adapter section/],
  ['reference: { update: soft, alpha: 0.5, average: product }', /^reference.average: .*add an adapter section/],
  [
    'adapter: { r: 4 }\nreference: { update: soft, alpha: 0.5, average: factors, rank: 8 }',
    /^reference.rank: .*factors keep their rank/,
  ],
  [
    'adapter: { type: dora }\nreference: { update: soft, alpha: 0.5, average: product }',
    /^reference.average: .*dora .*no low rank: use average factors/,
  ],
  ['adapter: { type: dora, dropout: 0.1 }', /^adapter.dropout: .*dora sees its inputs/],
  ['adapter: { resumeFrom: d, r: 4 }', /^adapter.r: .*the adapter of resumeFrom has its own: remove this key/],
  ['adapter: { r: 4 }\nprecision: bf16-params', /^precision: .*trained in float32 .*: use bf16/],
  ['adapter: { modulesToSave: [norm] }\nprecision: bf16', /^adapter.modulesToSave: .*lose small steps/],
  ['adapter: {}\nparallel: { shard: gradients }', /^parallel.shard: .*use parameters, which divides the base, or none/],
  ['adapter: {}\nparallel: { shard: parameters, offload: optimizer }', /^parallel.offload: .*remove this key/],
  [
    'adapter: {}\nquantize: nf4\nparallel: { shard: parameters }',
    /^quantize: .*4 bits are not divided among processes/,
  ],
  ['save: { merged: true }', /^save.merged: .*there is no adapter to be merged/],
])('an adapter: %j is refused', (lines, message) => {
  expect(problems(lines)).toEqual([expect.stringMatching(message)]);
});
