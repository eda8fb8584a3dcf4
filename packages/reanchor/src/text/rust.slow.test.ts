import { expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { tokenizerJson } from './testing/real-tokenizers.js';
import { compareOnTexts, hhTexts } from './testing/rust.js';

test.skipIf(!dataFolder).each(['stories260K', 'gpt-neox'] as const)(
  '%s encodes 10,000 real texts as Rust does',
  async (name) => {
    const texts = hhTexts(dataFolder!, 10_000);
    expect(await compareOnTexts(tokenizerJson(dataFolder!, name), texts)).toEqual({ texts: 10_000, differences: 0 });
  },
);
