import { type Device, type DType, manualSeed, ones, randn, tidy, zeros } from '@reanchor/torch';
import { buildModel } from './architectures.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';

/**
 * A network of the architecture that `configJson` names with random weights, as Hugging Face initialises them: matrices
 * normal with standard deviation `initializer_range` (0.02 when left out), norms 1, biases 0. The seed decides every
 * weight, whatever the device: they are drawn on the CPU. Errors: UserError for a config that cannot be built.
 */
export function initModel(
  configJson: ConfigJson,
  { seed, dtype, device = 'cpu' }: { seed: number; dtype: DType; device?: Device | undefined },
): CausalLM {
  const deviation = typeof configJson.initializer_range === 'number' ? configJson.initializer_range : 0.02;
  manualSeed(seed);
  return tidy(() =>
    buildModel(configJson, {
      parameter(name, shape) {
        if (shape.length > 1)
          return tidy(() =>
            randn([...shape], { dtype })
              .mul(deviation)
              .to({ device }),
          );
        return name.endsWith('.bias') ? zeros([...shape], { dtype, device }) : ones([...shape], { dtype, device });
      },
    }).keep(),
  );
}
