// All runs with `kernels: fused` on the simulated device, beside those of operators.
import { describe, test } from 'vitest';
import { expectFusedLayers, expectFusedSteps, fusedLayerRuns, fusedRuns } from '../support/fused-runs.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';

const hindrance = await simulateCuda();

describe.skipIf(hindrance !== undefined)('kernels: fused on a simulated CUDA device', () => {
  test.each(fusedRuns)(
    'a run has the numbers of one of operators, in one pass a step: $precision, $text',
    expectFusedSteps,
  );

  test.each(fusedLayerRuns)(
    'layers of a run have the numbers of operators: $model, $precision, $text',
    expectFusedLayers,
  );
});
