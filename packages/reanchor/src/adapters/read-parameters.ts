import type { WeightTensor } from '../formats/index.js';
import { configName, type NamedPart, partOf, prefix } from './names.js';
import { shapeOf } from './network.js';
import type { Reading } from './reading.js';
import { trainedParameters } from './trained-parameters.js';

/** A weight of the base that is stored with an adapter and was not trained. */
export interface BaseCopy extends WeightTensor {
  /** The checkpoint name of what it has to be equal to. */
  parameter: string;
}

export interface StoredParameters {
  replaced: Map<string, WeightTensor>;
  baseCopies: Map<string, BaseCopy>;
}

const resized = 'the adapter belongs to another base, or to one whose vocabulary was resized';

/**
 * The parameters of the base in the file, once its factors are taken. All that were trained have to be there; weights
 * below an adapter, and the embedding and the head, are copies otherwise. Errors: FormatError.
 */
export function readParameters(reading: Reading, adapted: ReadonlySet<string>): StoredParameters {
  const { network, stored, names, config } = reading;
  const trained = trainedParameters(reading, adapted);
  const ends = [network.embedding, names.headParameter];
  const isTiedToTrained = (parameter: string) =>
    config.keepsTie && ends.includes(parameter) && ends.some((end) => trained.has(end));
  const replaced = new Map<string, WeightTensor>();
  const baseCopies = new Map<string, BaseCopy>();
  for (const name of stored.left()) {
    const part = partOf(name)!;
    const parameter = 'parameter' in part ? names.inCheckpoints(part.parameter) : undefined;
    const shape = parameter === undefined ? undefined : shapeOf(network, parameter);
    if (parameter === undefined || shape === undefined) return stored.fail(name, leftOver(part));
    const isEnd = ends.includes(parameter);
    const take = () => (isEnd ? stored.take(name, shape, resized) : stored.take(name, shape));
    if (trained.has(parameter) || isTiedToTrained(parameter)) {
      if (replaced.has(parameter)) stored.fail(name, `is ${parameter} of the base, as another tensor of the file is`);
      replaced.set(parameter, take());
    } else if (isEnd || isWeightBelowAdapter(part)) {
      const isTiedHead = parameter === names.headParameter && network.head === undefined;
      const copied = isTiedHead ? network.embedding : parameter;
      baseCopies.set(name, { ...take(), parameter: copied });
    } else stored.fail(name, leftOver(part));
  }
  for (const parameter of trained) {
    if (!replaced.has(parameter)) stored.take(`${prefix}${names.inFile(parameter)}`, shapeOf(network, parameter)!);
  }
  return { replaced, baseCopies };
}

const isWeightBelowAdapter = (part: NamedPart) =>
  'parameter' in part && part.isBelowAdapter && part.parameter.endsWith('.weight');

/** Why a tensor is refused that nothing of the config speaks of. */
function leftOver(part: NamedPart): string {
  const asked = `is left over: nothing in ${configName} asks for it`;
  if ('parameter' in part) return `${asked} (modules_to_save, bias), or the base does not have ${part.parameter}`;
  const keys = { magnitude: 'use_dora', bBias: 'lora_bias' } as const;
  return part.role in keys ? `${asked} (${keys[part.role as keyof typeof keys]} is false)` : asked;
}
