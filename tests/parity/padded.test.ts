// The packed, prefix-shared path against a padded one, over random prompts and completions.
import { join } from 'node:path';
import { type Tensor, tidy } from '@reanchor/torch';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PackedBatch } from '#reanchor/data/pack.js';
import { type CausalLM, sequenceLogprobs } from '#reanchor/models/causal-lm.js';
import { loadModel } from '#reanchor/models/load.js';
import { spanBatch, spanGroups, type TokenBatch } from '#reanchor/nn/spans.js';
import { varlenAttention, varlenPlan, varlenTensors } from '#reanchor/nn/varlen.js';
import { gradients, groupBatches, pack, padded } from '../support/packed.js';
import { plainVarlen } from '../support/plain-varlen.js';
import { fixtures } from '../support/repository.js';

/** Flash attention's plan with a plain kernel, as a GPU would attend. */
function varlen(model: CausalLM, batch: PackedBatch): Tensor {
  const sequences = varlenTensors(varlenPlan(spanGroups(batch.spans)), 'cpu');
  const attend: TokenBatch['attend'] = (_layer, q, k, v) => varlenAttention(q, k, v, sequences, plainVarlen);
  return sequenceLogprobs(model, { ...spanBatch(batch, model), attend });
}

const masked = (model: CausalLM, batch: PackedBatch) => sequenceLogprobs(model, spanBatch(batch, model));

test.each([
  { name: 'masked', packed: masked, dtype: 'float64' as const, tolerance: 1e-11, runs: 40 },
  { name: 'masked', packed: masked, dtype: 'float32' as const, tolerance: 1e-5, runs: 25 },
  { name: 'varlen', packed: varlen, dtype: 'float64' as const, tolerance: 1e-11, runs: 40 },
])(
  'packed ($name) equals padded in $dtype: log-probabilities and gradients',
  async ({ packed, dtype, tolerance, runs }) => {
    using model = await loadModel(join(fixtures, 'models/llama-tiny'), { dtype });
    for (const parameter of model.parameters.values()) parameter.requiresGrad = true;
    fc.assert(
      fc.property(groupBatches, (groups) => {
        tidy(() => {
          const [ours, oracle] = [packed(model, pack(groups)), padded(model, groups) ?? packed(model, pack(groups))];
          expect(ours).toBeCloseToTensor(oracle, tolerance);
          if (!ours.requiresGrad) return;
          const [a, b] = [gradients(model, ours), gradients(model, oracle)];
          const scale = Math.hypot(...b) + 1e-12;
          expect(Math.hypot(...a.map((value, i) => value - b[i]!)) / scale).toBeLessThan(10 * tolerance);
        });
      }),
      { numRuns: runs, seed: 7 },
    );
  },
);
