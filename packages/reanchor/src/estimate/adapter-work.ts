/** What is computed, and kept for the backward pass, of a network with an adapter. */
import { moduleOf } from '../adapters/index.js';
import type { BlockShape } from '../models/shape.js';
import { sum } from '../stats/index.js';
import { blockOf } from '../weights/unit-plan.js';
import { type BlockTraining, reachesAttention, reachesInput } from './activations.js';
import { type AdaptedLayer, type AdapterForm, numelOf, wholeNumel } from './adapter-form.js';
import type { AdapterWork } from './flops.js';

/**
 * What is trained of each block. A gradient goes back to the first of them that has something, and to the inputs of
 * those behind; where passes are walked block by block, each with a graph of its own, it goes through all.
 */
export function blockTrainings(
  form: AdapterForm,
  { isWalked, isRounded }: { isWalked: boolean; isRounded: boolean },
): BlockTraining[] {
  const { network, layers, whole, drops } = form;
  const modules = [...layers.map(({ module }) => module), ...[...whole].map(moduleOf)];
  const first =
    isWalked || whole.has(network.embedding) ? -1 : Math.min(...modules.map(blockOf).filter((at) => at >= 0));
  return Array.from({ length: blockCount(form) }, (_, block) => {
    const own = layers.filter((layer) => layer.block === block);
    return {
      modules: new Set(modules.filter((module) => blockOf(module) === block).map(lastPart)),
      isReached: block > first,
      drops,
      keptPerToken: sum(own.map((layer) => keptPerToken(layer, drops))),
      rounded: isRounded ? sum(own.map((layer) => numelOf(layer, layer.shape))) : 0,
    };
  });
}

const keptPerToken = ({ shape, inputs, outputs }: AdaptedLayer, drops: boolean) =>
  shape.r + (shape.isDora ? outputs : 0) + (drops ? 2 * inputs : 0);

const blockCount = ({ network }: AdapterForm) => 1 + Math.max(...[...network.linear.keys()].map(blockOf));
const lastPart = (module: string) => module.slice(module.lastIndexOf('.') + 1);

/** What is computed with an adapter on a network of such blocks. */
export function adapterWork(form: AdapterForm, block: BlockShape, isWalked: boolean): AdapterWork {
  const { network, layers, whole } = form;
  const trainings = blockTrainings(form, { isWalked, isRounded: false });
  const isReached = (module: string) => reachesInput(block, trainings[blockOf(module)]!, lastPart(module));
  const reached = [...network.linear].filter(([module]) => isReached(module)).map(([, size]) => size);
  const factors = (of: 'shape' | 'referenceShape') =>
    sum(layers.map((layer) => layer[of].r * (layer.inputs + layer.outputs)));
  // A gradient goes through B to A in any case.
  const inputFactors = layers.map(({ module, shape, inputs, outputs }) => {
    return shape.r * (outputs + (isReached(module) ? inputs : 0));
  });
  const matrices = [...network.linear.keys()].map((module) => `${module}.weight`);
  return {
    factors: factors('shape'),
    referenceFactors: factors('referenceShape'),
    gradient: {
      inputs: sum(reached.map(({ inputs, outputs }) => inputs * outputs)) + sum(inputFactors),
      weights: factors('shape') + wholeNumel(form, matrices),
      layers: trainings.filter((training) => reachesAttention(block, training)).length,
      head: network.head !== undefined && whole.has(network.head),
    },
  };
}
