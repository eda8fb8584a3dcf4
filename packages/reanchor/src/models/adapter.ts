/** What is put on a model while it is loaded: an adapter that is stored, or a new one. */
import type { Device, DType, Tensor } from '@reanchor/torch';
import type { LowRankShape } from '../adapters/index.js';
import type { ConfigJson } from './causal-lm.js';

/** Where factors are made, and from what. */
export interface FactorPlace {
  device: Device;
  dtype: DType;
  /** The matrix of the layer whose factors these are, which was loaded just before. */
  matrix(): Tensor;
}

export interface ModelAdapter {
  /** The parameters of the base that it has in their place, or that are trained whole. */
  readonly whole: readonly string[];
  /** Whether the head is another than the embedding, of which it was a part. */
  readonly untiesHead: boolean;
  /** The form of a layer's factors, if it has some. */
  lowRank(layer: string): LowRankShape | undefined;
  /** A factor, by its name in PEFT's files. */
  factor(name: string, shape: readonly number[], place: FactorPlace): Tensor;
  /** A parameter of the base as it is with the adapter: `value` itself, or another tensor. */
  patched(name: string, value: Tensor): Tensor;
}

/** The dtype of factors beside a base of this one: they are never rounded to half precision. */
export const factorDType = (dtype: DType): DType => (dtype === 'float64' ? dtype : 'float32');

/** The config.json of a base as it is with the adapter. */
export const adaptedConfig = (configJson: ConfigJson, { untiesHead }: ModelAdapter): ConfigJson =>
  untiesHead ? { ...configJson, tie_word_embeddings: false } : configJson;
