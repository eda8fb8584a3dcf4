import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseExactJson } from '../formats/exact-json.js';
import { openSafetensors } from '../formats/index.js';
import { parseAdapterConfig } from './config.js';
import { adapterConfigJson, rewrittenConfigJson } from './config-json.js';
import { readAdapter } from './read.js';
import { factorsOf, tensorsOf } from './testing/folders.js';
import { tinyLlama } from './testing/networks.js';
import { writeAdapter } from './write.js';

const parent = mkdtempSync(join(tmpdir(), 'write-adapter-'));
afterAll(() => rmSync(parent, { recursive: true }));

const network = tinyLlama();
const shape = { r: 2, alpha: 4, scale: 2, isDora: false, hasBias: false };
const module = 'model.layers.1.mlp.up_proj';
const modules = new Map([[module, shape]]);
const tensors = tensorsOf(factorsOf({ [module]: [4, 6] }));

test('what is written is two files, the config sorted and with floats as Python writes them', async () => {
  const folder = join(parent, 'new', 'adapter');
  const config = adapterConfigJson({ network, modules, rslora: false, dropout: 0, base: 'base' });
  await writeAdapter(folder, { config, tensors });
  expect(readdirSync(folder).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  const text = readFileSync(join(folder, 'adapter_config.json'), 'utf8');
  const keys = Object.keys(JSON.parse(text));
  expect(keys).toEqual([...keys].sort());
  expect(text).toContain('"lora_dropout": 0.0,\n');
  expect((await openSafetensors(join(folder, 'adapter_model.safetensors'))).metadata).toEqual({ format: 'pt' });
  expect(await readAdapter(folder, network)).toMatchObject({ modules, config: { base: 'base', dropout: 0 } });
});

test('unknown keys of a config that was read are written as they were', async () => {
  const folder = join(parent, 'again');
  const text = '{"lora_alpha": 16.0, "__proto__": {"x": 1}, "new": {"2": 12345678901234567890, "1": 2.0}}';
  const config = rewrittenConfigJson(parseAdapterConfig(parseExactJson(text), 'c.json'));
  await writeAdapter(folder, { config, tensors });
  const written = readFileSync(join(folder, 'adapter_config.json'), 'utf8').replace(/\s+/g, ' ');
  expect(written).toContain('"lora_alpha": 16.0');
  expect(written).toContain('"__proto__": { "x": 1 }');
  expect(written).toContain('"new": { "2": 12345678901234567890, "1": 2.0 }');
});

test('a folder that cannot be made is told', async () => {
  const file = join(parent, 'again', 'adapter_config.json', 'below');
  await expect(writeAdapter(file, { config: {}, tensors })).rejects.toThrow(/cannot be written/);
});
