import { expect, test } from 'vitest';
import { parseAdapterConfig } from './config.js';
import { otherToolsNotes } from './other-tools.js';

const shape = { r: 4, alpha: 8, scale: 2, isDora: false, hasBias: false };
const notes = (json: Record<string, unknown>, shapes = [shape, shape]) =>
  otherToolsNotes(new Map(shapes.map((one, i) => [`m${i}`, one])), parseAdapterConfig(json, 'c.json'));

test('plain LoRA of one rank and alpha has no notes', () => expect(notes({})).toEqual([]));

test.each([
  [{ use_dora: true }, 'vLLM and llama.cpp refuse DoRA.'],
  [{ modules_to_save: ['lm_head'] }, 'vLLM refuses modules that are saved whole, and llama.cpp all of them but norms.'],
  [{ bias: 'all' }, 'vLLM refuses biases unless it is told to take them, and llama.cpp always.'],
  [{ lora_bias: true }, 'vLLM refuses biases unless it is told to take them, and llama.cpp always.'],
  [{ use_rslora: true }, 'llama.cpp passes over use_rslora, and scales by alpha / r.'],
])('%j has one', (json, note) => expect(notes(json)).toEqual([note]));

test('mixed ranks and alphas have one each', () => {
  expect(notes({}, [shape, { ...shape, r: 2 }])).toEqual([expect.stringContaining('another rank')]);
  expect(notes({}, [shape, { ...shape, alpha: 2 }])).toEqual([expect.stringContaining('pass over alpha_pattern')]);
});
