// Needs a CUDA device, a CUDA build of libtorch and NVRTC; skipped elsewhere.
import { isCudaAvailable, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { expectSameRun } from '../support/device-runs.js';
import { bothRuns, fusedRuns } from '../support/fused-runs.js';
import { composed, copiedTo, fused, type UpdateCase, updateCases, updateTensors } from '../support/update-cases.js';

/** Half a unit in the last place of the narrowest dtype, and a little more. */
const toleranceOf = ({ weight, reference = weight }: UpdateCase) =>
  [weight, reference].includes('bfloat16') ? 0.01 : 1e-6;

test.skipIf(!isCudaAvailable()).each(updateCases)(
  'the update in one pass is the composed one of the CPU: %j',
  (one) => {
    tidy(() => {
      const here = updateTensors(one);
      const there = copiedTo(here, 'cuda:0');
      const [seen, expected] = [fused(one, there), composed(one, here)];
      for (const name of ['weights', 'rounded', 'means', 'squares', 'references', 'roundedReferences'] as const) {
        const tolerance = name.startsWith('rounded') ? 0.01 : toleranceOf(one);
        for (const [i, x] of there[name].entries()) {
          expect(x.to({ device: 'cpu' }).to('float32')).toBeCloseToTensor(here[name][i]!.to('float32'), tolerance);
        }
      }
      if (expected && seen) {
        const sums = ({ before, norm }: { before: number; norm: number }) => [before, norm];
        expect(sums(seen)).toBeCloseToTensor(sums(expected), 1e-3);
      }
    });
  },
);

test.skipIf(!isCudaAvailable()).each(fusedRuns)(
  'a run with kernels: fused has the numbers of one of operators: $precision, $text',
  async (one) => {
    const runs = await bothRuns(one);
    expectSameRun(runs.fused, runs.composed, Math.max(1e-3, one.tolerance));
  },
);
