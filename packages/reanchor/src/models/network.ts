/** What a network has, by names and shapes alone. */
import { Tensor, tidy } from '@reanchor/torch';
import type { AdaptableNetwork } from '../adapters/index.js';
import { buildModel } from './architectures.js';
import type { ConfigJson } from './causal-lm.js';

/**
 * The network that `configJson` names. No weight is made, and libtorch is not needed. Errors: UserError for one that
 * cannot be built.
 */
export function networkOf(configJson: ConfigJson): AdaptableNetwork {
  const parameters = new Map<string, readonly number[]>();
  const layers = new Map<string, { inputs: number; outputs: number }>();
  tidy(() => {
    buildModel(configJson, {
      parameter(name, shape) {
        parameters.set(name, shape);
        // Handle 0 is a tensor that has been freed: nothing but the shape of a parameter is asked for.
        return new Tensor(0);
      },
      lowRank(layer, size) {
        layers.set(layer, size);
        return undefined;
      },
    });
  });
  const [embedding] = parameters.keys();
  const head = headNames.find((name) => parameters.has(name));
  const linear = [...layers].map(
    ([layer, size]) => [layer, { ...size, hasBias: parameters.has(`${layer}.bias`) }] as const,
  );
  return { linear: new Map(linear), parameters, embedding: embedding!, head };
}

/** What heads are called in checkpoints. */
const headNames = ['lm_head.weight', 'embed_out.weight'];
