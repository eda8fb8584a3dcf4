import { join } from 'node:path';
import type { WeightTensor } from '../formats/index.js';
import { AdapterFile } from './adapter-file.js';
import { type AdapterConfig, readAdapterConfig } from './config.js';
import type { LowRankShape } from './low-rank-shape.js';
import { configName, ModuleNames } from './names.js';
import type { AdaptableNetwork } from './network.js';
import { type AddedProduct, readFactors } from './read-factors.js';
import { type BaseCopy, readParameters } from './read-parameters.js';
import type { Reading } from './reading.js';
import { untiesHead } from './tie.js';

/** An adapter in a folder: what its files say, compared with the network it is for. No number of it is read yet. */
export interface StoredAdapter {
  config: AdapterConfig;
  /** The linear layers that are adapted, by module path, in the order of the network. */
  modules: ReadonlyMap<string, LowRankShape>;
  /** Their factors by the names that these have in the file, such as base_model.model.X.lora_A.weight. */
  factors: ReadonlyMap<string, WeightTensor>;
  /** What stands in the place of parameters of the base, by their checkpoint names: modules_to_save, trained biases. */
  replaced: ReadonlyMap<string, WeightTensor>;
  /** What is added to the embedding and the head when they are loaded, by their checkpoint names. */
  added: ReadonlyMap<string, AddedProduct>;
  /** Whether the head, which is the embedding in the base, must be a parameter of its own. */
  untiesHead: boolean;
  /** Copies of weights of the base by their names in the file; one that differs from the base is to be refused. */
  baseCopies: ReadonlyMap<string, BaseCopy>;
}

/**
 * The adapter in a folder of PEFT, for a network. Strict: what is missing, left over, of another shape, or not read by
 * its key, is an error that names it. The tensors say which modules are adapted; no regular expression of
 * `target_modules` is run. Errors: UserError, FormatError.
 */
export async function readAdapter(folder: string, network: AdaptableNetwork): Promise<StoredAdapter> {
  const config = await readAdapterConfig(folder);
  const stored = await AdapterFile.open(folder);
  const names = new ModuleNames(network, stored.tensors.keys());
  const reading: Reading = { network, config, configFile: join(folder, configName), stored, names };
  const { modules, factors, added } = readFactors(reading);
  const { replaced, baseCopies } = readParameters(reading, new Set(modules.keys()));
  const isUntied = untiesHead(network, { replaced, added });
  if (network.head === undefined && !isUntied) replaced.delete(names.headParameter);
  return { config, modules, factors, replaced, added, untiesHead: isUntied, baseCopies };
}
