import { type DType, manualSeed, ones, randn, tidy, zeros } from '@reanchor/torch';
import { buildModel } from './architectures.js';
import type { CausalLM, ConfigJson } from './causal-lm.js';

/**
 * A network of the architecture that `configJson` names with random weights, as Hugging Face initialises them: matrices
 * normal with standard deviation `initializer_range` (0.02 when left out), norms 1, biases 0. The seed decides every
 * weight. Errors: UserError for a config that cannot be built.
 */
export function initModel(configJson: ConfigJson, { seed, dtype }: { seed: number; dtype: DType }): CausalLM {
  const deviation = typeof configJson.initializer_range === 'number' ? configJson.initializer_range : 0.02;
  manualSeed(seed);
  return tidy(() =>
    buildModel(configJson, (name, shape) => {
      if (shape.length > 1) return randn([...shape], { dtype }).mul(deviation);
      return name.endsWith('.bias') ? zeros([...shape], { dtype }) : ones([...shape], { dtype });
    }).keep(),
  );
}
