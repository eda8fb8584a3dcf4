/** The adapter of a recipe, as training will have it: its layers, and how that is known. */
import { existsSync } from 'node:fs';
import type { AdaptableNetwork, BaseQuantization, LowRankShape } from '../adapters/index.js';
import type { ConfigJson } from '../models/causal-lm.js';
import { networkOf } from '../models/network.js';
import { NewAdapter } from '../models/new-adapter.js';
import { FolderAdapter } from '../models/stored-adapter.js';
import { recipeAdapter, recipeAverage } from '../planning/adapter.js';
import { recipeRule } from '../planning/rule.js';
import type { Recipe } from '../recipe/index.js';
import { sum } from '../stats/index.js';
import { widenedShapes } from '../weights/reference-shapes.js';
import { blockOf } from '../weights/unit-plan.js';

/** An adapter as it is told of. */
export interface AdapterSummary {
  type: 'lora' | 'dora';
  /** The form of the matrices of the base; undefined where they are in the precision of the run. */
  quantize: BaseQuantization | undefined;
  /** The ranks of its layers, and of those of a reference that is a copy, each once. */
  ranks: number[];
  referenceRanks: number[];
  /** The linear layers of the blocks that have factors, and all of them. */
  layers: number;
  linearLayers: number;
  /** Numbers that are trained, those of `whole` included. */
  parameters: number;
  /** Those of a reference that is a copy. */
  referenceParameters: number;
  /** Parameters of the base that are trained whole, by their checkpoint names. */
  whole: string[];
  /** The folder that is trained on, and whether its form is assumed, since it is not here. */
  resumeFrom: string | undefined;
  isAssumed: boolean;
}

/** A linear layer with factors. */
export interface AdaptedLayer {
  module: string;
  block: number;
  inputs: number;
  outputs: number;
  /** Of its factors, and of those of a reference that is a copy. */
  shape: LowRankShape;
  referenceShape: LowRankShape;
}

export interface AdapterForm {
  network: AdaptableNetwork;
  quantize: BaseQuantization | undefined;
  layers: AdaptedLayer[];
  /** The parameters of the base that are trained whole. */
  whole: ReadonlySet<string>;
  /** Whether factors have dropout in training. */
  drops: boolean;
  /** Whether a reference is averaged, and whether in products, which have other ranks. */
  averages: boolean;
  movesProducts: boolean;
  resumeFrom: string | undefined;
  isAssumed: boolean;
}

/**
 * The adapter of a recipe on the network that `configJson` names; one that is trained on and not here is assumed to
 * have the form of a new one. Undefined without one. Errors: those of training, targets that match nothing among them.
 */
export async function adapterForm(recipe: Recipe, configJson: ConfigJson): Promise<AdapterForm | undefined> {
  if (!recipe.adapter) return undefined;
  const network = networkOf(configJson);
  const { resumeFrom } = recipe.adapter;
  const isHere = resumeFrom !== undefined && existsSync(resumeFrom);
  using stored = isHere ? await FolderAdapter.over(resumeFrom, configJson) : undefined;
  const { modules, whole } = stored
    ? { modules: stored.stored.modules, whole: stored.whole }
    : new NewAdapter(network, recipeAdapter(recipe));
  const sizeOf = (module: string) => network.linear.get(module)!;
  const average = recipeAverage(recipe, recipeRule(recipe.reference, 1));
  const wider = widenedShapes(modules, average, sizeOf);
  const layers = [...modules].map(([module, shape]) => {
    const { inputs, outputs } = sizeOf(module);
    const referenceShape = wider?.get(module) ?? shape;
    return { module, block: blockOf(module), inputs, outputs, shape, referenceShape };
  });
  const isAssumed = resumeFrom !== undefined && !isHere;
  return {
    ...{ network, layers, whole: new Set(whole), resumeFrom, isAssumed },
    quantize: storedForm(configJson) ?? (recipe.quantize === 'none' ? undefined : recipe.quantize),
    drops: (recipe.adapter.dropout ?? 0) > 0,
    averages: average !== undefined,
    movesProducts: wider !== undefined,
  };
}

/** The form in which a base of bitsandbytes is stored; undefined for another one. */
function storedForm({ quantization_config: config }: ConfigJson): BaseQuantization | undefined {
  const { load_in_4bit, bnb_4bit_quant_type, bnb_4bit_use_double_quant } = (config ?? {}) as Record<string, unknown>;
  if (load_in_4bit !== true || bnb_4bit_quant_type !== 'nf4') return undefined;
  return bnb_4bit_use_double_quant === true ? 'nf4-double' : 'nf4';
}

export function adapterSummary(form: AdapterForm): AdapterSummary {
  const { network, quantize, layers, whole, resumeFrom, isAssumed } = form;
  const ranks = (shapes: LowRankShape[]) => [...new Set(shapes.map(({ r }) => r))].sort((a, b) => a - b);
  return {
    type: layers.some(({ shape }) => shape.isDora) ? 'dora' : 'lora',
    quantize,
    ranks: ranks(layers.map(({ shape }) => shape)),
    referenceRanks: ranks(layers.map(({ referenceShape }) => referenceShape)),
    layers: layers.length,
    linearLayers: network.linear.size,
    parameters: trainedNumel(form, 'shape'),
    referenceParameters: trainedNumel(form, 'referenceShape'),
    whole: [...whole],
    ...{ resumeFrom, isAssumed },
  };
}

/** The numbers of a layer's factors of such a form. */
export const numelOf = ({ inputs, outputs }: AdaptedLayer, { r, hasBias, isDora }: LowRankShape): number =>
  r * (inputs + outputs) + outputs * (Number(hasBias) + Number(isDora));

/** The numbers that are trained, or those of a copied reference. */
export const trainedNumel = (form: AdapterForm, of: 'shape' | 'referenceShape'): number =>
  factorNumel(form, of) + wholeNumel(form);

export const factorNumel = ({ layers }: AdapterForm, of: 'shape' | 'referenceShape'): number =>
  sum(layers.map((layer) => numelOf(layer, layer[of])));

/** The numbers of parameters that are trained whole, or of those `counted` of them. */
export function wholeNumel(
  { network, whole }: Pick<AdapterForm, 'network' | 'whole'>,
  counted: Iterable<string> = whole,
): number {
  return sum([...counted].filter((name) => whole.has(name)).map((name) => numel(network.parameters.get(name)!)));
}

export const numel = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
