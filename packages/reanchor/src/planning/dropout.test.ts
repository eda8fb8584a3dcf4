import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { train } from '../driver/train.js';
import { parseRecipe } from '../recipe/index.js';
import { readEvents } from '../runs/index.js';
import { dropoutNote } from './dropout.js';

const fixtures = fileURLToPath(new URL('../../../../tests/fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dropout-'));
afterAll(() => rmSync(folder, { recursive: true }));

it.each<[config: Record<string, unknown>, keys: string | undefined]>([
  [{ attention_dropout: 0.1 }, 'attention_dropout 0.1, which is not applied'],
  [
    { attention_dropout: 0.1, hidden_dropout: 0.05 },
    'attention_dropout 0.1, hidden_dropout 0.05, which are not applied',
  ],
  [{ resid_pdrop: 0.1, embd_pdrop: 0.1, attn_pdrop: 0 }, 'resid_pdrop 0.1, embd_pdrop 0.1, which are'],
  [{ attention_dropout: 0, hidden_dropout: null }, undefined],
  [{ classifier_dropout: 0.1, summary_first_dropout: 0.1 }, undefined],
  [{}, undefined],
])('with SFT %j is told: %s', (config, keys) => {
  const note = dropoutNote('sft', config);
  if (keys === undefined) expect(note).toBeUndefined();
  else expect(note).toContain(keys);
  for (const method of ['dpo', 'ipo', 'kto', 'kto-pair']) expect(dropoutNote(method, config)).toBeUndefined();
});

it('a run of SFT says it once, one of DPO says nothing, and both train as without the keys', async () => {
  const model = join(folder, 'model');
  cpSync(join(fixtures, 'models/llama-tiny'), model, { recursive: true });
  const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'));
  writeFileSync(join(model, 'config.json'), JSON.stringify({ ...config, attention_dropout: 0.5 }));
  const weightsOf = async (method: string, from: string, name: string) => {
    const text = `{ model: ${from}, method: ${method}, steps: 2, data: { train: ${fixtures}text/pairs.jsonl, maxLength: 64 } }`;
    const out = join(folder, `${method}-${name}`);
    await train({ recipe: parseRecipe(text, { file: 'r.yaml', env: {} }), out, command: [] });
    const told = readEvents(join(out, 'events.jsonl')).events.filter(
      (event) => event.type === 'warning' && event.message.includes('attention_dropout'),
    );
    return { told: told.length, weights: readFileSync(join(out, 'final/model.safetensors')) };
  };
  for (const [method, count] of [
    ['sft', 1],
    ['dpo', 0],
  ] as const) {
    const plain = await weightsOf(method, join(fixtures, 'models/llama-tiny'), 'plain');
    const dropping = await weightsOf(method, model, 'dropping');
    expect([plain.told, dropping.told]).toEqual([0, count]);
    expect(dropping.weights.equals(plain.weights)).toBe(true);
  }
});
