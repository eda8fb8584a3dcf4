// Adapters that PEFT has written: log-probabilities, logits, gradients and merged weights against those that it
// computes in float64.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noGrad, type Tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { readAdapterConfig } from '#reanchor/adapters/index.js';
import { packGroups } from '#reanchor/data/index.js';
import { type CausalLM, tokenLogprobs } from '#reanchor/models/causal-lm.js';
import { loadModel, readConfig } from '#reanchor/models/load.js';
import { mergedParameter, mergedParameters } from '#reanchor/models/merged.js';
import type { NewAdapterOptions } from '#reanchor/models/new-adapter.js';
import { saveParameters } from '#reanchor/models/save.js';
import { FolderAdapter } from '#reanchor/models/stored-adapter.js';
import { StoredMerge } from '#reanchor/models/stored-merge.js';
import { isFactor } from '#reanchor/nn/low-rank.js';
import { spanBatch } from '#reanchor/nn/spans.js';
import { loadAdapterWeights } from '#reanchor/weights/load-adapter.js';
import { dataFolder } from '../support/repository.js';
import { readTensors } from '../support/tensors.js';

interface Reference {
  base: string;
  adapted_modules: Record<string, { r: number; lora_alpha: number; scaling: number }>;
  loss_fp64: number;
  gradients_fp64: Record<string, { norm: number; stored: boolean }>;
  merged_fp64: Record<string, { norm: number; sample_index: number[]; sample_value: number[] }>;
}

const newAdapter: NewAdapterOptions = {
  ...{ type: 'lora', r: 3, alpha: 5, targets: 'all-linear', rslora: false, dropout: 0, init: 'kaiming' },
  ...{ modulesToSave: [], seed: 1 },
};
const folder = join(dataFolder ?? 'no-data', 'parity/lora/adapters');
const names = existsSync(folder) ? readdirSync(folder) : [];

describe.skipIf(names.length === 0).each(names.length > 0 ? names : ['an adapter'])('%s', (name) => {
  const at = join(folder, name);
  const base = async () => join(dataFolder!, 'parity/arch', (await readAdapterConfig(at)).base!);

  test.each([
    { dtype: 'float64' as const, tolerance: 1e-9 },
    { dtype: 'float32' as const, tolerance: 1e-4 },
  ])('computes what PEFT computes, in $dtype', async ({ dtype, tolerance }) => {
    const reference = JSON.parse(readFileSync(join(at, 'reference.json'), 'utf8')) as Reference;
    const expected = await readTensors(join(at, 'reference.safetensors'));
    const baseFolder = await base();
    using adapter = await FolderAdapter.over(at, await readConfig(baseFolder));
    using model = await loadModel(baseFolder, { dtype, adapter });
    const found = [...model.lowRank].map(([layer, { r, alpha, scale }]) => [
      layer,
      { r, lora_alpha: alpha, scaling: scale },
    ]);
    expect(Object.fromEntries(found)).toEqual(reference.adapted_modules);
    for (const [parameter, tensor] of model.parameters)
      tensor.requiresGrad = isFactor(parameter) || adapter.whole.includes(parameter);

    tidy(() => {
      const rows = rowsOf(expected);
      const batch = spanBatch(scoreAll(rows), model);
      const logprobs_M = tokenLogprobs(model, batch);
      expect(logprobs_M).toBeCloseToTensor(scored(expected.get('logps_fp64')!, rows), tolerance);
      logprobs_M.mean().neg().backward();
      for (const [stored, { norm }] of Object.entries(reference.gradients_fp64)) {
        const gradient = model.parameters.get(ours(stored, model))?.grad;
        if (!gradient) throw new Error(`no gradient of ${stored}`);
        expect(Math.abs(gradient.linalgVectorNorm(2).item() / norm - 1), stored).toBeLessThan(tolerance);
        const theirs = expected.get(`grad.${stored}`);
        if (theirs) {
          const largest = theirs.abs().max().item();
          expect(gradient.to('float64').sub(theirs).abs().max().item() / largest, stored).toBeLessThan(
            Math.max(tolerance, 1e-7),
          );
        }
      }
      const [slices, positions] = [expected.get('slice_row')!.toList(), expected.get('slice_position')!.toList()];
      for (const [k, row] of slices.entries()) {
        const logits_TV = allLogits(model, rows[row]!);
        const wanted = expected.get('slice_logits_fp64')!.select(0, k);
        expect(logits_TV.select(0, positions[k]!)).toBeCloseToTensor(wanted, 2 * tolerance);
      }
    });
  });

  test('the base under it computes what the base alone does, to the bit', async () => {
    const expected = await readTensors(join(at, 'reference.safetensors'));
    const baseFolder = await base();
    using bare = await loadModel(baseFolder, { dtype: 'float32' });
    using weights = await loadAdapterWeights(baseFolder, { base: 'base', from: newAdapter }, { dtype: 'float32' });
    using off = weights.anchorAtBase();
    tidy(() => {
      const rows = rowsOf(expected);
      const [alone, under, new_] = [bare, off.model, weights.model].map((model) =>
        noGrad(() => tokenLogprobs(model, spanBatch(scoreAll(rows), model)).toList()),
      );
      expect(under).toEqual(alone);
      expect(new_).toEqual(alone);
      expect(alone).toBeCloseToTensor(scored(expected.get('base_logps_fp64')!, rows), 1e-4);
    });
  });

  test('merged it has the weights that PEFT merges, and gives the same log-probabilities', async () => {
    const reference = JSON.parse(readFileSync(join(at, 'reference.json'), 'utf8')) as Reference;
    const expected = await readTensors(join(at, 'reference.safetensors'));
    const baseFolder = await base();
    using adapter = await FolderAdapter.over(at, await readConfig(baseFolder));
    using model = await loadModel(baseFolder, { dtype: 'float32', adapter });
    const out = mkdtempSync(join(tmpdir(), 'merged-'));
    try {
      tidy(() => {
        for (const [weight, { norm, sample_index, sample_value }] of Object.entries(reference.merged_fp64 ?? {})) {
          const values = mergedParameter(
            model,
            weight === 'lm_head.weight' && model.parameters.has('embed_out.weight') ? 'embed_out.weight' : weight,
          ).toList();
          expect(Math.abs(Math.hypot(...values) / norm - 1), weight).toBeLessThan(1e-6);
          for (const [i, index] of sample_index.entries())
            expect(Math.abs(values[index]! - sample_value[i]!)).toBeLessThan(1e-6);
        }
        for (const [stored, value] of expected) {
          if (!stored.startsWith('merged.')) continue;
          const weight = mergedParameter(model, stored.slice('merged.'.length));
          expect(weight.to('float64').sub(value).abs().max().item(), stored).toBeLessThan(1e-6);
        }
      });
      await saveParameters(
        { configJson: model.configJson, dtype: 'float32', parameters: mergedParameters(model) },
        out,
      );
      using merged = await loadModel(out, { dtype: 'float32' });
      tidy(() => {
        const rows = rowsOf(expected);
        const logprobs_M = noGrad(() => tokenLogprobs(merged, spanBatch(scoreAll(rows), merged)));
        expect(logprobs_M).toBeCloseToTensor(scored(expected.get('logps_fp64')!, rows), 1e-4);
      });
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  test('merged weight by weight from the files it has the same bits', async () => {
    const baseFolder = await base();
    using adapter = await FolderAdapter.over(at, await readConfig(baseFolder));
    using model = await loadModel(baseFolder, { dtype: 'float32', adapter });
    using merge = await StoredMerge.open({ base: baseFolder, adapter: at, quantize: undefined }, 'cpu');
    expect(merge.configJson).toEqual(model.configJson);
    tidy(() => {
      for (const { name, value } of merge.parameters('float32'))
        expect(value().equal(mergedParameter(model, name)), name).toBe(true);
    });
    expect(merge.change().modules).toBeGreaterThanOrEqual(model.lowRank.size);
  });
});

/** A tensor of PEFT's file by the name of our parameter. */
function ours(stored: string, { parameters }: CausalLM): string {
  if (parameters.has(stored)) return stored;
  if (stored.endsWith('.lora_magnitude_vector.weight')) return stored.replace(/\.weight$/, '');
  const plain = stored.replace('base_model.model.', '').replace('.base_layer', '');
  return plain === 'lm_head.weight' && !parameters.has(plain) ? 'embed_out.weight' : plain;
}

function rowsOf(expected: ReadonlyMap<string, Tensor>): number[][] {
  const lengths = expected.get('attention_mask')!.sum([1]).toList();
  return lengths.map((length, i) => expected.get('input_ids')!.select(0, i).narrow(0, 0, length).toList());
}

const scored = (logps: Tensor, rows: number[][]): number[] =>
  rows.flatMap(({ length }, i) =>
    logps
      .select(0, i)
      .narrow(0, 0, length - 1)
      .toList(),
  );

/** Rows without a prompt: every token but the first of each is scored. */
function scoreAll(rows: number[][]) {
  return packGroups(rows.map((row) => ({ prompt: new Int32Array(0), completions: [Int32Array.from(row)] })));
}

/** Logits at every position: a further token makes the last position a scored one. */
function allLogits(model: CausalLM, ids: number[]): Tensor {
  return noGrad(() => model.hidden(spanBatch(scoreAll([[...ids, 0]]), model)).matmul(model.head_VD.t()));
}
