import { expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { realTokenizers, tokenizerJson } from './testing/real-tokenizers.js';
import { compareOnTexts, expectSameIds, expectSameTexts, hhTexts } from './testing/rust.js';

const withData = test.skipIf(!dataFolder);

withData.each(['stories260K', 'gpt-neox'] as const)('%s encodes 10,000 real texts as Rust does', async (name) => {
  const texts = hhTexts(dataFolder!, 10_000);
  expect(await compareOnTexts(tokenizerJson(dataFolder!, name), texts)).toEqual({ texts: 10_000, differences: 0 });
});

withData.each(realTokenizers)('%s encodes random texts and decodes random ids as Rust does', async (name) => {
  const definition = tokenizerJson(dataFolder!, name);
  await expectSameIds(definition, { numRuns: 20_000 });
  await expectSameTexts(definition);
});
