import { expect, test } from 'vitest';
import { publishedConfig, publishedModels } from './published-configs.js';
import { modelShape } from './shape.js';

// The parameters that the models' own pages state.
test.each([
  ['EleutherAI/pythia-70m', 70_426_624],
  ['EleutherAI/pythia-160m', 162_322_944],
  ['EleutherAI/pythia-410m', 405_334_016],
  ['EleutherAI/pythia-1b', 1_011_781_632],
  ['EleutherAI/pythia-1.4b', 1_414_647_808],
  ['EleutherAI/pythia-2.8b', 2_775_208_960],
  ['EleutherAI/pythia-6.9b', 6_857_302_016],
  ['EleutherAI/pythia-12b', 11_846_072_320],
  ['meta-llama/Meta-Llama-3-8B', 8_030_261_248],
  ['meta-llama/Meta-Llama-3-8B-Instruct', 8_030_261_248],
  ['karpathy/stories260K', 260_032],
])('the shape of %s has %i parameters', (name, parameters) => {
  expect(modelShape(publishedConfig(name)!.configJson).parameters).toBe(parameters);
});

test('every model of the table is checked above, and is found by the last part of its name too', () => {
  expect(publishedModels).toHaveLength(11);
  expect(publishedConfig('models/Pythia-12B')?.id).toBe('EleutherAI/pythia-12b');
  expect(publishedConfig('models/pythia-13b')).toBeUndefined();
});
