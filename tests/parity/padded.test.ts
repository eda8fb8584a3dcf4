// The packed, prefix-shared path against a padded one, over random prompts and completions.
import { join } from 'node:path';
import { arange, stack, type Tensor, tidy } from '@reanchor/torch';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packGroups } from '../../packages/reanchor/src/data/index.js';
import { type CausalLM, sequenceLogprobs } from '../../packages/reanchor/src/models/causal-lm.js';
import { loadModel } from '../../packages/reanchor/src/models/load.js';
import { spanBatch } from '../../packages/reanchor/src/nn/spans.js';
import { paddedLogprobs } from '../support/padded.js';
import { fixtures } from '../support/repository.js';

interface Group {
  prompt: number[];
  completions: number[][];
}

const ids = (options: { minLength: number; maxLength: number }) => fc.array(fc.integer({ min: 0, max: 511 }), options);
const group = fc.record({
  prompt: ids({ minLength: 0, maxLength: 12 }),
  completions: fc.array(ids({ minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 4 }),
});
const batches = fc.array(group, { minLength: 1, maxLength: 4 });

function packed(model: CausalLM, groups: Group[]): Tensor {
  const batch = packGroups(
    groups.map(({ prompt, completions }) => ({
      prompt: Int32Array.from(prompt),
      completions: completions.map((completion) => Int32Array.from(completion)),
    })),
  );
  return sequenceLogprobs(model, spanBatch(batch, model.dtype));
}

function padded(model: CausalLM, groups: Group[]): Tensor {
  const sides = groups.flatMap(({ prompt, completions }) => completions.map((completion) => ({ prompt, completion })));
  const rows = sides.map(({ prompt, completion }) => [...prompt, ...completion]);
  if (rows.every((row) => row.length < 2)) return packed(model, groups);
  const logprobs_BT = paddedLogprobs(model.parameters, model.configJson, rows);
  return stack(
    sides.map(({ prompt, completion }, i) => {
      const first = Math.max(prompt.length - 1, 0);
      const scored = completion.length - (prompt.length === 0 ? 1 : 0);
      return logprobs_BT.select(0, i).narrow(0, first, scored).to('float64').sum();
    }),
    0,
  );
}

function gradients(model: CausalLM, logprobs_S: Tensor): number[] {
  // Unequal weights, so that an exchange of two sequences cannot go unseen.
  logprobs_S
    .mul(arange(1, logprobs_S.numel + 1))
    .sum()
    .backward();
  return [...model.parameters.values()].flatMap((parameter) => {
    const gradient = parameter.grad?.toList() ?? new Array<number>(parameter.numel).fill(0);
    parameter.grad = null;
    return gradient;
  });
}

test.each([
  { dtype: 'float64' as const, tolerance: 1e-11, runs: 40 },
  { dtype: 'float32' as const, tolerance: 1e-5, runs: 25 },
])('packed equals padded in $dtype: log-probabilities and gradients', async ({ dtype, tolerance, runs }) => {
  using model = await loadModel(join(fixtures, 'models/llama-tiny'), { dtype });
  for (const parameter of model.parameters.values()) parameter.requiresGrad = true;
  fc.assert(
    fc.property(batches, (groups) => {
      tidy(() => {
        const [ours, oracle] = [packed(model, groups), padded(model, groups)];
        expect(ours).toBeCloseToTensor(oracle, tolerance);
        if (!ours.requiresGrad) return;
        const [a, b] = [gradients(model, ours), gradients(model, oracle)];
        const scale = Math.hypot(...b) + 1e-12;
        expect(Math.hypot(...a.map((value, i) => value - b[i]!)) / scale).toBeLessThan(10 * tolerance);
      });
    }),
    { numRuns: runs, seed: 7 },
  );
});
