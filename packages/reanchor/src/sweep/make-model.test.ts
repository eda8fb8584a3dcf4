import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadModel } from '../models/load.js';
import { loadTokenizer } from '../text/index.js';
import { loadBeginnings, loadPassages } from './corpus.js';
import { loadGold } from './gold.js';
import type { InitJob } from './jobs.js';
import { corpusStage, initStage } from './make-model.js';

const folder = mkdtempSync(join(tmpdir(), 'make-model-'));
afterAll(() => rmSync(folder, { recursive: true }));

const config = {
  ...{ model_type: 'llama', hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
  ...{ num_key_value_heads: 2, max_position_embeddings: 32, rms_norm_eps: 1e-5, tie_word_embeddings: true },
};
const init = (out: string, rest: Partial<InitJob> = {}) =>
  initStage({
    ...{ kind: 'init', text: join(folder, 'corpus/texts.jsonl'), rows: 40, vocabularySize: 300, config, seed: 1 },
    out: join(folder, out),
    ...rest,
  });

test('the gold reward is the sum of the valences of words, whatever their case', async () => {
  const gold = await loadGold();
  expect(gold('Good news: we win!')).toBe(gold('good') + gold('win') + gold('news'));
  expect(gold('good')).toBe(3);
  expect(gold('terrible war')).toBeLessThan(-3);
  expect(gold('')).toBe(0);
});

test('beginnings of sentences differ, the held-out ones are of other addresses, and the seed decides them', async () => {
  const trained = await loadBeginnings('trained', { count: 50, seed: 3 });
  expect(new Set(trained).size).toBe(50);
  const heldOut = await loadBeginnings('heldOut', { count: Number.POSITIVE_INFINITY, seed: 3 });
  expect(heldOut.length).toBeGreaterThan(2000);
  expect(trained.filter((beginning) => heldOut.includes(beginning)).length).toBeLessThan(3);
  expect(await loadBeginnings('trained', { count: 50, seed: 3 })).toEqual(trained);
  expect(await loadBeginnings('trained', { count: 50, seed: 4 })).not.toEqual(trained);
  expect((await loadPassages()).length).toBeGreaterThan(3000);
});

test('a model from nothing: a tokenizer of the text, and the weights that the seed draws', async () => {
  await corpusStage({ kind: 'corpus', corpus: 'sotu', out: join(folder, 'corpus') });
  const [first] = readFileSync(join(folder, 'corpus/texts.jsonl'), 'utf8').split('\n');
  expect(JSON.parse(first!)).toEqual({ text: expect.stringMatching(/^<\|endoftext\|> ?\w/) });
  for (const [name, rest] of Object.entries({ one: {}, same: {}, other: { seed: 2 } })) await init(name, rest);
  const tokenizer = await loadTokenizer(join(folder, 'one'));
  expect([...tokenizer.encode(JSON.parse(first!).text)][0]).toBe(0);
  expect(tokenizer.decode([...tokenizer.encode('My fellow citizens')])).toBe('My fellow citizens');
  using model = await loadModel(join(folder, 'one'), { dtype: 'float32' });
  expect(model.configJson).toMatchObject({ vocab_size: 300, eos_token_id: 0, hidden_size: 16 });
  const weights = (name: string) => readFileSync(join(folder, name, 'model.safetensors'));
  expect(weights('same')).toEqual(weights('one'));
  expect(weights('other')).not.toEqual(weights('one'));
});

test('what no model can be made of is refused, with what to do', async () => {
  await expect(init('a', { config: { ...config, vocab_size: 7 } })).rejects.toThrow('init.config.vocab_size');
  await expect(init('b', { config: { model_type: 'mamba' } })).rejects.toThrow('mamba');
  const file = join(folder, 'rows.jsonl');
  writeFileSync(file, '{"text": "a"}\n{"prompt": "b"}\n');
  await expect(init('c', { text: file })).rejects.toThrow('rows.jsonl:2: no text');
  writeFileSync(file, '');
  await expect(init('d', { text: file })).rejects.toThrow('no rows');
});
