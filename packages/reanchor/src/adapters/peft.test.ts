// The adapters that PEFT wrote, of the data folder: what is read of them, and what is written again.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { openSafetensors, type SafetensorsFile } from '../formats/index.js';
import { adapterConfigJson, rewrittenConfigJson } from './config-json.js';
import { readAdapter } from './read.js';
import { networkOf } from './testing/networks.js';
import { writeAdapter } from './write.js';

const adapters = join(dataFolder ?? 'no-data', 'parity/lora/adapters');
const names = existsSync(adapters) ? readdirSync(adapters).sort() : [];
const again = mkdtempSync(join(tmpdir(), 'peft-again-'));
afterAll(() => rmSync(again, { recursive: true }));

interface Reference {
  base: string;
  adapted_modules: Record<string, { r: number; lora_alpha: number; scaling: number }>;
}

const json = (folder: string, file: string) =>
  JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>;
const weights = (folder: string) => openSafetensors(join(folder, 'adapter_model.safetensors'));
const bytesOf = ({ file, tensors }: SafetensorsFile) => {
  const all = readFileSync(file);
  return Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, begin, end }]) => {
      return [name, { dtype, shape, bytes: all.subarray(begin, end).toString('hex') }];
    }),
  );
};

test.skipIf(names.length === 0)('there are nine', () => expect(names).toHaveLength(9));

describe.each(names)('%s', (name) => {
  const folder = join(adapters, name);
  const reference = json(folder, 'reference.json') as unknown as Reference;
  const network = () => networkOf(join(adapters, '../../arch', reference.base));

  test('has the modules, ranks and scales of PEFT, and nothing else', async () => {
    const { modules, factors, replaced, added, baseCopies, untiesHead } = await readAdapter(folder, await network());
    const found = [...modules].map(([path, { r, alpha, scale }]) => [path, { r, lora_alpha: alpha, scaling: scale }]);
    expect(Object.fromEntries(found)).toEqual(reference.adapted_modules);
    const { tensors } = await weights(folder);
    expect(factors.size + replaced.size).toBe(tensors.size);
    expect([added.size, baseCopies.size, untiesHead]).toEqual([0, 0, false]);
    const trained = { 'gpt_neox-bias': 4, 'llama-modules-to-save': 1 }[name] ?? 0;
    expect(replaced.size).toBe(trained);
  });

  test('is written again with equal bytes of tensors and an equal config', async () => {
    const { config } = await readAdapter(folder, await network());
    const stored = await weights(folder);
    const file = readFileSync(stored.file);
    const tensors = [...stored.tensors].map(([tensor, { dtype, shape, begin, end }]) => {
      return { name: tensor, dtype, shape, bytes: () => file.subarray(begin, end) };
    });
    const own = join(again, name);
    await writeAdapter(own, { config: rewrittenConfigJson(config), tensors });
    expect(readFileSync(join(own, 'adapter_config.json'), 'utf8').trim()).toBe(
      readFileSync(join(folder, 'adapter_config.json'), 'utf8').trim(),
    );
    const written = await weights(own);
    expect(bytesOf(written)).toEqual(bytesOf(stored));
    expect(written.metadata).toEqual(stored.metadata);
  });

  test('is described as PEFT does, but for patterns and targets in their own form', async () => {
    const base = await network();
    const { config, modules } = await readAdapter(folder, base);
    const described = adapterConfigJson({ ...config, network: base, modules });
    expect(Object.keys(described).sort()).toEqual(Object.keys(config.json).sort());
    const own = ['target_modules', 'rank_pattern', 'alpha_pattern', 'modules_to_save', 'bias', 'exclude_modules'];
    const layers = ['layers_to_transform', 'r', 'lora_alpha'];
    const plain = (all: Record<string, unknown>) =>
      Object.fromEntries(Object.entries(all).filter(([key]) => ![...own, ...layers].includes(key)));
    expect(plain(described)).toEqual(plain(config.json));
  });
});
