// Needs a CUDA device and a CUDA build of libtorch; skipped elsewhere.
import { isCudaAvailable, linearLogprob, manualSeed, randn, tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';

test.skipIf(!isCudaAvailable())(
  'linearLogprob gives the same values and gradients on the CPU and on a CUDA device',
  () => {
    tidy(() => {
      manualSeed(1);
      const [hidden, weight] = [randn([64, 32]), randn([500, 32])];
      const targets = tensor(
        Int32Array.from({ length: 64 }, (_, i) => (37 * i) % 500),
        { dtype: 'int64' },
      );
      const results = (['cpu', 'cuda'] as const).map((device) => {
        const [h, w] = [hidden, weight].map((t) => t.to({ device, copy: true }).requiresGrad_());
        const logprobs = linearLogprob(h!, w!, targets.to({ device }));
        logprobs.sum().backward();
        return [logprobs, h!.grad!, w!.grad!].map((t) => t.to({ device: 'cpu' }));
      });
      for (const [i, onCuda] of results[1]!.entries()) expect(onCuda).toBeCloseToTensor(results[0]![i]!, 1e-4);
    });
  },
);
