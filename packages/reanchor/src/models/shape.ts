import type { ConfigJson } from './causal-lm.js';
import { gptNeoxConfig } from './gpt-neox/config.js';
import { llamaConfig } from './llama/config.js';
import { networkOf } from './network.js';

/** The sizes of a block of a network. */
export type BlockShape = {
  width: number;
  feedForward: number;
  heads: number;
  headChannels: number;
  keyValueHeads: number;
} & ({ family: 'llama'; headNorms: boolean } | { family: 'gpt_neox'; parallelResidual: boolean });

/** The size of a network, without its weights. */
export interface ModelShape {
  /** All parameters, a tied head counted once. */
  parameters: number;
  /** Those of all blocks' matrices, with which every token is multiplied: all but embedding, head, norms and biases. */
  matrixParameters: number;
  /** Those of one block. */
  blockParameters: number;
  vocabulary: number;
  layers: number;
  isTied: boolean;
  block: BlockShape;
}

/**
 * The size of the network that `configJson` names. No weight is made, and libtorch is not needed. Errors: UserError for
 * one that cannot be built.
 */
export function modelShape(configJson: ConfigJson): ModelShape {
  const { parameters } = networkOf(configJson);
  const total = (isCounted: (name: string, isMatrix: boolean) => boolean) =>
    [...parameters]
      .filter(([name, shape]) => isCounted(name, shape.length > 1))
      .reduce((sum, [, shape]) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return {
    parameters: total(() => true),
    matrixParameters: total((name, isMatrix) => isMatrix && name.includes('.layers.')),
    blockParameters: total((name) => name.includes('.layers.0.')),
    ...networkShape(configJson),
  };
}

function networkShape(configJson: ConfigJson): Pick<ModelShape, 'vocabulary' | 'layers' | 'isTied' | 'block'> {
  if (configJson.model_type === 'gpt_neox') {
    const { width, feedForward, heads, headChannels, parallelResidual, ...rest } = gptNeoxConfig(configJson);
    const block = { width, feedForward, heads, headChannels, keyValueHeads: heads };
    return {
      vocabulary: rest.vocabularySize,
      layers: rest.layers,
      isTied: rest.tiedHead,
      block: { ...block, family: 'gpt_neox', parallelResidual },
    };
  }
  const { width, feedForward, heads, headChannels, keyValueHeads, headNorms, ...rest } = llamaConfig(configJson);
  return {
    vocabulary: rest.vocabularySize,
    layers: rest.layers,
    isTied: rest.tiedHead,
    block: { family: 'llama', width, feedForward, heads, headChannels, keyValueHeads, headNorms },
  };
}
