// NF4 against what bitsandbytes stores and computes, and LoRA on an NF4 model against PEFT in float64.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nf4Absmax, nf4Dequantize, nf4Quantize, nf4QuantizeAbsmax, type Tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { packGroups } from '#reanchor/data/index.js';
import { type CausalLM, tokenLogprobs } from '#reanchor/models/causal-lm.js';
import { loadModel, readConfig } from '#reanchor/models/load.js';
import { mergedParameter } from '#reanchor/models/merged.js';
import { findNf4 } from '#reanchor/models/nf4-folder.js';
import { FolderAdapter } from '#reanchor/models/stored-adapter.js';
import { StoredMerge } from '#reanchor/models/stored-merge.js';
import { isFactor } from '#reanchor/nn/low-rank.js';
import { Nf4Weight } from '#reanchor/nn/nf4-weight.js';
import { spanBatch } from '#reanchor/nn/spans.js';
import { nf4Source } from '../support/nf4-source.js';
import { dataFolder } from '../support/repository.js';
import { readStored, readTensors } from '../support/tensors.js';

const folder = join(dataFolder ?? 'no-data', 'parity/lora/nf4');
const here = describe.skipIf(!existsSync(folder));
const jsonOf = (...path: string[]) => JSON.parse(readFileSync(join(folder, ...path), 'utf8'));

const cases = ['square', 'rest', 'bf16', 'fp16', 'zeros', 'ties', 'long'];

const vectors = existsSync(folder) ? await readStored(join(folder, 'vectors.safetensors')) : new Map<string, Tensor>();

here('vectors', () => {
  const of = (name: string) => vectors.get(name)!;

  test.each(cases)('%s: codes and absmax to the bit, of the second level too', (name) => {
    tidy(() => {
      const { packed, absmax } = nf4Quantize(of(`${name}.input`));
      expect(packed.shape).toEqual(of(`${name}.single.packed`).shape);
      expect(packed.toList()).toEqual(of(`${name}.single.packed`).toList());
      expect(packed.toList()).toEqual(of(`${name}.double.packed`).toList());
      expect(absmax.toList()).toEqual(of(`${name}.single.absmax`).toList());
      const doubled = nf4QuantizeAbsmax(absmax);
      expect(doubled.offset).toBe(of(`${name}.double.nested_offset`).item());
      expect(doubled.map.toList()).toEqual(of('dynamic_map').toList());
      expect(doubled.nestedAbsmax.toList()).toEqual(of(`${name}.double.nested_absmax`).toList());
      // bitsandbytes finds codes through a coarse table, and gives neighbours beside midpoints.
      const theirs = of(`${name}.double.absmax`).toList();
      for (const [i, code] of doubled.codes.toList().entries()) expect(Math.abs(code - theirs[i]!)).toBeLessThan(2);
    });
  });

  test.each(cases)('%s: values to the bit, of single and doubled absmax', (name) => {
    tidy(() => {
      const { shape, dtype } = of(`${name}.input`);
      const layout = { shape, blockSize: 64, dtype };
      const single = nf4Dequantize(of(`${name}.single.packed`), of(`${name}.single.absmax`), layout);
      const singleValues = vectors.get(`${name}.single.values`);
      if (singleValues) expect(single.toList()).toEqual(singleValues.toList());
      const doubled = {
        codes: of(`${name}.double.absmax`),
        map: of('dynamic_map'),
        nestedAbsmax: of(`${name}.double.nested_absmax`),
        offset: of(`${name}.double.nested_offset`).item(),
        blockSize: 256,
      };
      for (const absmax of [doubled, nf4Absmax(doubled)]) {
        const values = nf4Dequantize(of(`${name}.double.packed`), absmax, layout);
        expect(values.toList()).toEqual(of(`${name}.double.values`).toList());
      }
    });
  });
});

here('the model folder', () => {
  const model = join(folder, 'model');
  const dense = join(folder, '../../arch/llama3-tied');

  test('what is quantised here of the dense model is what the folder has', async () => {
    const source = await nf4Source(model, await readConfig(model));
    const weights = await readStored(join(dense, 'model.safetensors'));
    const stored = await readStored(join(model, 'model.safetensors'));
    const left = new Set(source.checkpoint.keys());
    for (const [name, value] of weights) {
      const found = findNf4(name, source);
      left.delete(name);
      if (!found) continue;
      for (const side of found.sideNames) left.delete(side);
      tidy(() => {
        const ours = Nf4Weight.quantize(value.to('bfloat16'), { isDoubled: true });
        expect(found.shape).toEqual(value.shape);
        for (const [suffix, part] of ours.tensors()) {
          const theirs = stored.get(name + suffix)!;
          if (suffix.startsWith('.quant_state')) {
            // Python's JSON has spaces.
            const [a, b] = [part, theirs].map((state) => JSON.parse(Buffer.from(state.toList()).toString()));
            expect(a).toEqual(b);
            continue;
          }
          expect([part.shape, part.dtype]).toEqual([theirs.shape, theirs.dtype]);
          const apart = part.to('float64').sub(theirs.to('float64')).abs().max().item();
          expect(apart, name + suffix).toBeLessThanOrEqual(suffix === '.absmax' ? 1 : 0);
        }
      });
    }
    expect([...left]).toEqual([]);
  });

  test.each([
    { dtype: 'float64' as const, tolerance: 1e-9, gradientTolerance: 1e-6 },
    { dtype: 'float32' as const, tolerance: 1e-4, gradientTolerance: 1e-4 },
  ])('without and with an adapter on it, equals PEFT in $dtype', async ({ dtype, tolerance, gradientTolerance }) => {
    const expected = await readTensors(join(folder, 'qlora.safetensors'));
    using adapter = await FolderAdapter.over(join(folder, 'adapter'), await readConfig(model));
    using bare = await loadModel(model, { dtype });
    using adapted = await loadModel(model, { dtype, adapter });
    expect(adapted.quantized.size).toBe(adapted.lowRank.size);
    for (const [name, parameter] of adapted.parameters) parameter.requiresGrad = isFactor(name);
    const lengths = [0, 1, 2].map((row) => expected.get('attention_mask')!.select(0, row).sum().item());
    const rows = lengths.map((length, row) => expected.get('input_ids')!.select(0, row).narrow(0, 0, length).toList());
    const wanted = (name: string) =>
      lengths.flatMap((length, row) =>
        expected
          .get(name)!
          .select(0, row)
          .narrow(0, 0, length - 1)
          .toList(),
      );
    const groups = rows.map((row) => ({ prompt: new Int32Array(0), completions: [Int32Array.from(row)] }));
    const logprobs = (network: CausalLM) => tokenLogprobs(network, spanBatch(packGroups(groups), network));
    tidy(() => {
      expect(logprobs(bare)).toBeCloseToTensor(wanted('base_logps_fp64'), tolerance);
      const adapted_M = logprobs(adapted);
      expect(adapted_M).toBeCloseToTensor(wanted('logps_fp64'), tolerance);
      adapted_M.mean().neg().backward();
    });
    const factors = new Map([...adapted.parameters].filter(([name]) => isFactor(name)));
    const norms = jsonOf('vectors.json').qlora.gradient_norms_fp64 as Record<string, number>;
    expect(Object.keys(norms).sort()).toEqual([...factors.keys()].sort());
    for (const [name, norm] of Object.entries(norms)) {
      const gradient = factors.get(name)!.grad!;
      expect(Math.abs(gradient.linalgVectorNorm(2).item() / norm - 1), name).toBeLessThan(gradientTolerance);
      const stored = expected.get(`grad.${name}`)!;
      const largest = stored.abs().max().item();
      expect(gradient.sub(stored).abs().max().item() / largest, name).toBeLessThan(gradientTolerance);
    }
  });

  test('an adapter on it is merged into the values of its codes, and into bfloat16, which it came from', async () => {
    const at = join(folder, 'adapter');
    using adapter = await FolderAdapter.over(at, await readConfig(model));
    using adapted = await loadModel(model, { dtype: 'float32', adapter });
    using merge = await StoredMerge.open({ base: model, adapter: at, quantize: undefined }, 'cpu');
    expect(merge.dtype).toBe('bfloat16');
    tidy(() => {
      for (const { name, value } of merge.parameters('bfloat16'))
        expect(value().equal(mergedParameter(adapted, name)), name).toBe(true);
    });
    expect(merge.change()).toMatchObject({ modules: adapted.lowRank.size });
  });
});
