import { FormatError } from '../errors.js';
import type { WeightTensor } from '../formats/index.js';
import { adaptedModules } from './adapted-modules.js';
import { alphasOf } from './alphas.js';
import { type LowRankShape, scaleOf } from './low-rank-shape.js';
import { factorName, type Role } from './names.js';
import { shapeOf } from './network.js';
import type { Reading } from './reading.js';

/** Low-rank factors of the embedding or the head, whose product is added when that is loaded. */
export interface AddedProduct {
  /** [r, width] of the head, [r, vocabulary] of the embedding. */
  a: WeightTensor;
  /** [vocabulary, r] of the head, [width, r] of the embedding. */
  b: WeightTensor;
  scale: number;
  /** Whether scale (B A)^T is added, as to the embedding, and not scale B A, as to the head. */
  isTransposed: boolean;
}

export interface StoredFactors {
  modules: Map<string, LowRankShape>;
  factors: Map<string, WeightTensor>;
  added: Map<string, AddedProduct>;
}

/** The factors of all modules that the file has some of, each with all that it needs. Errors: FormatError. */
export function readFactors(reading: Reading): StoredFactors {
  const found = adaptedModules(reading);
  const shapeWith = shapes(reading, found);
  return { ...linearFactors(reading, found, shapeWith), added: addedProducts(reading, found, shapeWith) };
}

type ShapeWith = (module: string, r: number) => LowRankShape;

/** The shape of a module's factors by their rank. */
function shapes({ config, configFile }: Reading, modules: Iterable<string>): ShapeWith {
  const { rslora, dora: isDora, loraBias: hasBias } = config;
  const alphas = alphasOf(config, modules, configFile);
  return (module, r) => {
    const alpha = alphas.get(module)!;
    return { r, alpha, scale: scaleOf({ alpha, r, rslora }), isDora, hasBias };
  };
}

function linearFactors(
  reading: Reading,
  found: ReadonlySet<string>,
  shapeWith: ShapeWith,
): Omit<StoredFactors, 'added'> {
  const { stored, network } = reading;
  const modules = new Map<string, LowRankShape>();
  const factors = new Map<string, WeightTensor>();
  for (const [module, { inputs, outputs }] of network.linear) {
    if (!found.has(module)) continue;
    const a = stored.takeRanked(factorName(module, 'a'), inputs, ranksOf(reading));
    const shape = shapeWith(module, a.shape[0]!);
    const take = (role: Role, size: readonly number[]) =>
      factors.set(factorName(module, role), stored.take(factorName(module, role), size));
    modules.set(module, shape);
    factors.set(factorName(module, 'a'), a);
    take('b', [outputs, shape.r]);
    if (shape.hasBias) take('bBias', [outputs]);
    if (shape.isDora) take('magnitude', [outputs]);
  }
  return { modules, factors };
}

function addedProducts(reading: Reading, found: ReadonlySet<string>, shapeWith: ShapeWith): Map<string, AddedProduct> {
  const { network, names, stored, config, configFile } = reading;
  const [vocabulary, width] = shapeOf(network, network.embedding) as [number, number];
  const ranks = ranksOf(reading);
  const added = new Map<string, AddedProduct>();
  const add = (module: string, parameter: string, isTransposed: boolean) => {
    if (!found.has(module)) return;
    if (config.dora || config.loraBias) {
      const message = `is true, and ${module} is adapted: of the embedding and the head plain LoRA is read. Merge the adapter by PEFT`;
      throw new FormatError(message, { file: configFile, where: config.dora ? 'use_dora' : 'lora_bias' });
    }
    const [roleA, roleB] = isTransposed ? (['embeddingA', 'embeddingB'] as const) : (['a', 'b'] as const);
    const a = stored.takeRanked(factorName(module, roleA), isTransposed ? vocabulary : width, ranks);
    const { r, scale } = shapeWith(module, a.shape[0]!);
    const b = stored.take(factorName(module, roleB), [isTransposed ? width : vocabulary, r]);
    added.set(parameter, { a, b, scale, isTransposed });
  };
  add(names.embedding, network.embedding, true);
  add(names.head, names.headParameter, false);
  return added;
}

/** The ranks that a config speaks of; which module has which, the tensors say. */
const ranksOf = ({ config }: Reading): Set<number> => new Set([config.r, ...config.rankPattern.values()]);
