// Log-probabilities, logits and gradient norms of all architectures against those that transformers computes in
// float64.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { noGrad, type Tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { packGroups } from '#reanchor/data/index.js';
import { type CausalLM, tokenLogprobs } from '#reanchor/models/causal-lm.js';
import { loadModel } from '#reanchor/models/load.js';
import { spanBatch } from '#reanchor/nn/spans.js';
import { dataFolder, fixtures } from '../support/repository.js';
import { readTensors } from '../support/tensors.js';

interface Reference {
  lengths: number[];
  loss_fp64: number;
  grad_norm_fp64: number;
  gradients_fp64: Record<string, { norm: number; sample_index: number[]; sample_value: number[] }>;
}

const real = (...path: string[]) => join(dataFolder ?? 'no-data', ...path);
const cases = [
  { name: 'llama-tiny', model: join(fixtures, 'models/llama-tiny') },
  { name: 'llama3-untied, sharded', model: join(fixtures, 'models/llama3-untied') },
  ...['gpt-neox-parallel', 'gpt-neox-sequential', 'mistral', 'qwen2', 'qwen3'].map((name) => ({
    name,
    model: join(fixtures, 'models', name),
  })),
  { name: 'gpt_neox-pythia of the data set', model: real('parity/arch/gpt_neox-pythia') },
  { name: 'llama3-tied of the data set', model: real('parity/arch/llama3-tied') },
  { name: 'llama3-untied of the data set', model: real('parity/arch/llama3-untied') },
  { name: 'stories260K', model: real('models/stories260K'), references: real('parity/stories260K') },
];

describe.each(cases)('$name', ({ model: folder, references = folder }) => {
  const it = test.skipIf(!existsSync(references));

  it.each([
    { dtype: 'float64' as const, tolerance: 1e-9, gradientTolerance: 1e-9 },
    { dtype: 'float32' as const, tolerance: 1e-4, gradientTolerance: 1e-4 },
  ])('equals transformers in $dtype', async ({ dtype, tolerance, gradientTolerance }) => {
    const reference = JSON.parse(readFileSync(join(references, 'reference.json'), 'utf8')) as Reference;
    const expected = await readTensors(join(references, 'reference.safetensors'));
    using model = await loadModel(folder, { dtype });
    for (const parameter of model.parameters.values()) parameter.requiresGrad = true;

    tidy(() => {
      const rows = reference.lengths.map((length, i) =>
        expected.get('input_ids')!.select(0, i).narrow(0, 0, length).toList(),
      );
      const batch = spanBatch(scoreAll(rows), model);
      const logprobs_M = tokenLogprobs(model, batch);
      const wanted = reference.lengths.flatMap((length, i) =>
        expected
          .get('logps_fp64')!
          .select(0, i)
          .narrow(0, 0, length - 1)
          .toList(),
      );
      expect(logprobs_M).toBeCloseToTensor(wanted, tolerance);

      logprobs_M.mean().neg().backward();
      expect(-logprobs_M.mean().item()).toBeCloseTo(reference.loss_fp64, dtype === 'float64' ? 10 : 4);
      for (const [name, { norm, sample_index, sample_value }] of Object.entries(reference.gradients_fp64)) {
        const gradient = model.parameters.get(name)!.grad!;
        expect(Math.abs(gradient.linalgVectorNorm(2).item() / norm - 1), name).toBeLessThan(gradientTolerance);
        const flat = gradient.toList();
        const scale = norm / Math.sqrt(flat.length);
        for (const [i, index] of sample_index.entries()) {
          expect(Math.abs(flat[index]! - sample_value[i]!) / scale, name).toBeLessThan(100 * gradientTolerance);
        }
      }
    });
  });

  it('gives the logits of transformers in float64', async () => {
    const reference = JSON.parse(readFileSync(join(references, 'reference.json'), 'utf8')) as Reference;
    const expected = await readTensors(join(references, 'reference.safetensors'));
    using model = await loadModel(folder, { dtype: 'float64' });
    tidy(() => {
      const kept = expected.get('slice_row')!.toList();
      const positions = expected.get('slice_position')!.toList();
      for (const [row, length] of reference.lengths.entries()) {
        const ids = expected.get('input_ids')!.select(0, row).narrow(0, 0, length).toList();
        const logits_TV = allLogits(model, ids);
        for (const [k, position] of positions.entries()) {
          if (kept[k] !== row) continue;
          expect(logits_TV.select(0, position)).toBeCloseToTensor(
            expected.get('slice_logits_fp64')!.select(0, k),
            1e-9,
          );
        }
      }
    });
  });
});

/** Rows without a prompt: every token but the first of each is scored. */
function scoreAll(rows: number[][]) {
  return packGroups(rows.map((row) => ({ prompt: new Int32Array(0), completions: [Int32Array.from(row)] })));
}

/** Logits at every position: a further token makes the last position a scored one. */
function allLogits(model: CausalLM, ids: number[]): Tensor {
  return noGrad(() => model.hidden(spanBatch(scoreAll([[...ids, 0]]), model)).matmul(model.head_VD.t()));
}
