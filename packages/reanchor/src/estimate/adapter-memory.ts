/** The bytes of an adapter, and of the base under it. */
import { dtypeBytes } from '@reanchor/torch';
import { recipeDTypes } from '../planning/dtypes.js';
import type { Recipe } from '../recipe/index.js';
import { groupBy, sum } from '../stats/index.js';
import { blockOf } from '../weights/unit-plan.js';
import type { BlockTraining } from './activations.js';
import { type AdaptedLayer, type AdapterForm, factorNumel, numel, trainedNumel, wholeNumel } from './adapter-form.js';
import { blockTrainings } from './adapter-work.js';
import { keepsInitial } from './answers.js';

export interface AdapterMemory {
  /** Numbers that are trained. */
  parameters: number;
  /** The frozen part of the base. */
  base: number;
  /** What is trained; of that what is the head and the embedding, where these are trained whole. */
  trained: number;
  head: number;
  embedding: number;
  trainsFinalNorm: boolean;
  /** The copies of a reference and of the initial policy; 0 for none. */
  reference: number;
  initial: number;
  /** A matrix of a linear layer that is made for a product, and gone after it. */
  dense: number;
  /** What is made on the way when the reference moves, or its distance is measured. */
  update: number;
  /** Matrices of the base that are asked for in a step for the distance of policy and reference. */
  measured: number;
  /** What is trained of each block, where each one's pass has a graph of its own, and where all have one. */
  walked: BlockTraining[];
  unwalked: BlockTraining[];
}

/** Bits of a weight of the blocks: those of its code, and its part of the scales that 64 codes share. */
const bits = { nf4: 4 + 32 / 64, 'nf4-double': 4 + 8 / 64 + 32 / (64 * 256) };

/** The bytes of a recipe's adapter; `hasCopy` where the reference is one. */
export function adapterMemory(form: AdapterForm, recipe: Recipe, hasCopy: boolean): AdapterMemory {
  const { network, quantize, layers, whole, averages } = form;
  const { dtype, reference } = recipeDTypes(recipe);
  const [bytes, factorBytes] = [dtypeBytes(dtype), dtypeBytes(reference)];
  const bytesOf = (of: 'shape' | 'referenceShape') => factorNumel(form, of) * factorBytes + wholeNumel(form) * bytes;
  const { head, embedding } = network;
  const isNorm = (name: string) => blockOf(name) < 0 && name !== head && name !== embedding;
  return {
    parameters: trainedNumel(form, 'shape'),
    base: baseBytes(form, bytes),
    trained: bytesOf('shape'),
    head: head === undefined ? 0 : wholeNumel(form, [head]) * bytes,
    embedding: wholeNumel(form, [embedding]) * bytes,
    trainsFinalNorm: [...whole].some(isNorm),
    reference: hasCopy ? bytesOf('referenceShape') : 0,
    initial: keepsInitial(recipe) ? bytesOf('shape') : 0,
    dense: denseBytes(form, bytes),
    update: hasCopy ? updateBytes(form, bytes < 4 || quantize !== undefined) : 0,
    measured: hasCopy ? layers.filter(({ shape }) => shape.isDora).length * (averages ? 2 : 1) : 0,
    walked: blockTrainings(form, { isWalked: true, isRounded: bytes < factorBytes }),
    unwalked: blockTrainings(form, { isWalked: false, isRounded: bytes < factorBytes }),
  };
}

function baseBytes({ network, quantize, whole }: AdapterForm, bytes: number): number {
  const matrices = new Set([...network.linear.keys()].map((module) => `${module}.weight`));
  const quantized = quantize === undefined ? bytes : bits[quantize] / 8;
  const frozen = [...network.parameters].filter(([name]) => !whole.has(name));
  return sum(frozen.map(([name, shape]) => numel(shape) * (matrices.has(name) ? quantized : bytes)));
}

/** The largest matrix that is made of a quantised one, and of DoRA's that in float32 of which norms are taken. */
function denseBytes({ network, quantize, layers }: AdapterForm, bytes: number): number {
  const largest = (some: Iterable<{ inputs: number; outputs: number }>) =>
    Math.max(0, ...[...some].map(({ inputs, outputs }) => inputs * outputs));
  const widened = bytes < 4 ? 4 * largest(layers.filter(({ shape }) => shape.isDora)) : 0;
  return (quantize === undefined ? 0 : bytes * largest(network.linear.values())) + widened;
}

/**
 * The tensors that weights/low-rank-average.ts and the distances of weights/adapter-weights.ts make: of all layers of
 * one shape where products move, of one layer where a distance is measured.
 */
function updateBytes({ layers, movesProducts }: AdapterForm, isWidened: boolean): number {
  const ranks = ({ shape, referenceShape }: AdaptedLayer) => ({ R: referenceShape.r, P: shape.r + referenceShape.r });
  const distances = layers.map((layer) => {
    const { inputs: I, outputs: O, shape } = layer;
    const { P } = ranks(layer);
    // DoRA's are the matrices of policy and reference, before and after they are turned; widened ones once more.
    return shape.isDora ? 4 * (isWidened ? 6 : 4) * O * I : 8 * (3 * O * P + 2 * I * P + 3 * P ** 2);
  });
  if (!movesProducts) return Math.max(0, ...distances);
  const alike = groupBy(layers, (layer) => [layer.inputs, layer.outputs, layer.shape.r, layer.referenceShape.r].join());
  const moves = [...alike.values()].map((group) => {
    const { inputs: I, outputs: O } = group[0]!;
    const { R, P } = ranks(group[0]!);
    // The stacked factors with their QR, one after the other; and both with the new factors.
    return 4 * group.length * Math.max(2 * O * P, (O + 2 * I) * P, (O + I) * (P + R) + 7 * P ** 2);
  });
  return Math.max(...distances, ...moves);
}
