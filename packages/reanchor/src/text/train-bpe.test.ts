import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { expectSameIds, expectSameTexts, rustTokenizer, unicodeText } from './testing/rust.js';
import { loadTokenizer, parseTokenizer } from './tokenizer.js';
import { trainBpe } from './train-bpe.js';

const text =
  "We are at peace, and we're a force for peace and freedom throughout the world. In 1946 the people's work — 2.5 " +
  'million of them — was at peace with the world; the work of peace is the work of the people.\n\n  And so it is. ';
const trained = trainBpe([text.repeat(4), 'naïve café 平和'], { vocabSize: 400 });
const model = (trained.definition as { model: { vocab: Record<string, number>; merges: [string, string][] } }).model;

describe('a trained byte-level BPE', () => {
  it('merges the most frequent pair first, the smaller ids among equals', () => {
    const small = trainBpe(['aab aab aab bb bb'], { vocabSize: 257 + 4 });
    // In words: "aab" once, " aab" twice, " bb" twice. aa, ab: 3 each; then (aa)b: 3; then " b", bb, " aab": 2 each.
    // In the byte alphabet the space comes after the letters, so bb is the smallest of the pairs with 2.
    expect(JSON.parse(JSON.stringify(small.definition)).model.merges).toEqual([
      ['a', 'a'],
      ['aa', 'b'],
      ['b', 'b'],
      ['Ġ', 'aab'],
    ]);
  });

  it('has the special token, the bytes, then one token per merge', () => {
    expect(Object.keys(model.vocab)).toHaveLength(257 + model.merges.length);
    expect(model.vocab['<|endoftext|>']).toBe(0);
    expect(model.merges.every(([a, b], i) => model.vocab[a + b] === 257 + i)).toBe(true);
  });

  it('stops when no pair occurs twice', () => {
    expect(
      Object.keys(JSON.parse(JSON.stringify(trainBpe(['abc'], { vocabSize: 300 }).definition)).model.vocab),
    ).toHaveLength(257);
  });

  it('refuses a vocabulary that does not hold the bytes', () => {
    expect(() => trainBpe(['a'], { vocabSize: 256 })).toThrow(/256 tokens does not hold the 257/);
  });

  it('encodes any text as the Rust library does with the same file, and gives it back', async () => {
    await expectSameIds(trained.definition, { numRuns: 500 });
    await expectSameTexts(trained.definition);
    const tokenizer = parseTokenizer(trained.definition);
    fc.assert(
      fc.property(
        unicodeText.map((t) => Buffer.from(t).toString()),
        (t) => tokenizer.decode(tokenizer.encode(t)) === t,
      ),
      { numRuns: 500 },
    );
    expect(tokenizer.encode(text)).toEqual(await rustTokenizer(trained.definition).encode(text));
    expect(tokenizer.encode(text).length).toBeLessThan(text.length / 2);
  });

  const folder = mkdtempSync(join(tmpdir(), 'bpe-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  it('is a tokenizer folder with an EOS token', async () => {
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(trained.definition));
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(trained.config));
    const tokenizer = await loadTokenizer(folder);
    expect([tokenizer.eosId, tokenizer.bosId, tokenizer.encode('a<|endoftext|>').at(-1)]).toEqual([0, 0, 0]);
  });
});
