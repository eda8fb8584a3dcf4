import { tidy, zeros } from '@reanchor/torch';
import { buildModel } from './architectures.js';
import type { ConfigJson } from './causal-lm.js';

/** The size of a network, without its weights. */
export interface ModelShape {
  /** All parameters, a tied head counted once. */
  parameters: number;
  /** Parameters of matrices that every token is multiplied with: all but embeddings, head and norms. */
  blockParameters: number;
  vocabulary: number;
  width: number;
  layers: number;
  heads: number;
}

/** The size of the network that `configJson` names. No weight is made. Errors: UserError for one that cannot be built. */
export function modelShape(configJson: ConfigJson): ModelShape {
  const shapes = new Map<string, readonly number[]>();
  tidy(() => {
    const nothing = zeros([0]);
    buildModel(configJson, (name, shape) => {
      shapes.set(name, shape);
      return nothing;
    })[Symbol.dispose]();
  });
  const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const total = (some: (readonly number[])[]) => some.reduce((sum, shape) => sum + size(shape), 0);
  const vocabulary = configJson.vocab_size as number;
  const isBlock = (shape: readonly number[]) => shape.length > 1 && shape[0] !== vocabulary;
  return {
    parameters: total([...shapes.values()]),
    blockParameters: total([...shapes.values()].filter(isBlock)),
    vocabulary,
    width: configJson.hidden_size as number,
    layers: configJson.num_hidden_layers as number,
    heads: configJson.num_attention_heads as number,
  };
}
