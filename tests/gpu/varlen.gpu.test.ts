// Needs a CUDA device of compute capability 8.0 or newer and a CUDA build of libtorch; skipped elsewhere. The same
// cases as tests/parity/varlen.test.ts, with the real kernel.
import { isCudaAvailable, manualSeed, randn, type Tensor, tidy } from '@reanchor/torch';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { spanBatch, spanGroups } from '#reanchor/nn/spans.js';
import { varlenAttention, varlenPlan, varlenTensors } from '#reanchor/nn/varlen.js';
import { groupBatches, pack } from '../support/packed.js';
import { plainVarlen } from '../support/plain-varlen.js';

test.skipIf(!isCudaAvailable()).each([
  { heads: 2, keyValueHeads: 2, channels: 64 },
  { heads: 4, keyValueHeads: 2, channels: 128 },
  { heads: 3, keyValueHeads: 1, channels: 80 },
  { heads: 2, keyValueHeads: 1, channels: 256 },
])(
  'flash attention over packed spans equals plain attention, values and gradients: $heads, $keyValueHeads, $channels',
  ({ heads, keyValueHeads, channels }) => {
    manualSeed(1);
    fc.assert(
      fc.property(groupBatches, (groups) => {
        tidy(() => {
          const batch = pack(groups);
          const tokens = batch.tokens.length;
          if (tokens === 0) return;
          const random = (n: number) => randn([tokens, n, channels]).to('bfloat16');
          const [q, k, v, weight_NHC] = [heads, keyValueHeads, keyValueHeads, heads].map(random) as [
            Tensor,
            Tensor,
            Tensor,
            Tensor,
          ];
          const plan = varlenPlan(spanGroups(batch.spans));
          const results = (
            attend: (...inputs: [Tensor, Tensor, Tensor]) => Tensor,
            to: Parameters<Tensor['to']>[0],
          ) => {
            const inputs = [q, k, v].map((x) => x.to(to).requiresGrad_()) as [Tensor, Tensor, Tensor];
            const output_NHC = attend(...inputs);
            output_NHC.mul(weight_NHC.to(to)).sum().backward();
            return [output_NHC, ...inputs.map((input) => input.grad!)].map((x) =>
              x.to({ dtype: 'float64', device: 'cpu' }),
            );
          };
          const expected = results(
            (...inputs) => varlenAttention(...inputs, varlenTensors(plan, 'cpu'), plainVarlen),
            'float64',
          );
          const onGpu = spanBatch(batch, { dtype: 'bfloat16', device: 'cuda:0', headChannels: channels });
          const found = results((...inputs) => onGpu.attend(0, ...inputs), { device: 'cuda:0', copy: true });
          for (const [i, x] of found.entries()) {
            const error = x.sub(expected[i]!).linalgVectorNorm(2).item() / expected[i]!.linalgVectorNorm(2).item();
            expect(error).toBeLessThan(0.02);
          }
        });
      }),
      { numRuns: 40, seed: 3 },
    );
  },
);
