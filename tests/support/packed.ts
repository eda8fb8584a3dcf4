/** Random groups of prompts and completions, as packed batches and under the padded oracle. */
import { arange, stack, type Tensor } from '@reanchor/torch';
import fc from 'fast-check';
import { type PackedBatch, packGroups } from '#reanchor/data/pack.js';
import type { CausalLM } from '#reanchor/models/causal-lm.js';
import { paddedLogprobs } from './padded.js';

export interface Group {
  prompt: number[];
  completions: number[][];
}

const ids = (options: { minLength: number; maxLength: number }) => fc.array(fc.integer({ min: 0, max: 511 }), options);
const group = fc.record({
  prompt: ids({ minLength: 0, maxLength: 12 }),
  completions: fc.array(ids({ minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 4 }),
});

/** Batches of groups: prompts may be empty, completions have a token at least. */
export const groupBatches = fc.array(group, { minLength: 1, maxLength: 4 });

export const pack = (groups: Group[]): PackedBatch =>
  packGroups(
    groups.map(({ prompt, completions }) => ({
      prompt: Int32Array.from(prompt),
      completions: completions.map((completion) => Int32Array.from(completion)),
    })),
  );

/** log p(completion | prompt) of all completions by the padded oracle; undefined where no token has a probability. */
export function padded(model: CausalLM, groups: Group[]): Tensor | undefined {
  const sides = groups.flatMap(({ prompt, completions }) => completions.map((completion) => ({ prompt, completion })));
  const rows = sides.map(({ prompt, completion }) => [...prompt, ...completion]);
  if (rows.every((row) => row.length < 2)) return undefined;
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

/** The gradients of a weighted sum, of all parameters in one list; they are taken off the parameters. */
export function gradients(model: CausalLM, logprobs_S: Tensor): number[] {
  // Unequal weights, so that an exchange of two sequences cannot go unseen.
  logprobs_S
    .mul(arange(1, logprobs_S.numel + 1, 1, { device: logprobs_S.device }))
    .sum()
    .backward();
  return [...model.parameters.values()].flatMap((parameter) => {
    const gradient = parameter.grad?.toList() ?? new Array<number>(parameter.numel).fill(0);
    parameter.grad = null;
    return gradient;
  });
}
