// Needs a CUDA device, a CUDA build of libtorch and NVRTC; skipped elsewhere.
import { isCudaAvailable, tidy } from '@reanchor/torch';
import { describe, test } from 'vitest';
import { expectSameBitsAfterResuming, expectSameRun } from '../support/device-runs.js';
import { bothRuns, fusedLayerRuns } from '../support/fused-runs.js';
import { headsCases, headsPasses } from '../support/heads-cases.js';
import { expectSamePasses } from '../support/kernel-passes.js';
import { references } from '../support/resuming.js';
import { swigluCases, swigluPasses } from '../support/swiglu-cases.js';

describe.skipIf(!isCudaAvailable())('kernels of layers on a GPU', () => {
  test.each(swigluCases)('the gated product is that of float64 but for one rounding: %j', (one) => {
    tidy(() => expectSamePasses('cuda:0', swigluPasses(one)));
  });

  test.each(headsCases)('heads are those of float64 but for one rounding: %j', (one) => {
    tidy(() => expectSamePasses('cuda:0', headsPasses(one)));
  });

  test.each(fusedLayerRuns)('a run has the numbers of operators: $model, $precision, $text', async (one) => {
    const { composed, fused } = await bothRuns(one);
    expectSameRun(fused, composed, Math.max(1e-3, one.tolerance));
  });

  test.each(['bf16', 'fp32'])('a run in %s goes on from its checkpoint to the same bits', async (precision) => {
    await expectSameBitsAfterResuming('cuda', precision, references.soft, 'kernels=fused');
  });
});
