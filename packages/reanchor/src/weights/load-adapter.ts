import { ProcessGroup } from '@reanchor/torch';
import { adapterConfigJson, headParameter, scaleOf, writeAdapter } from '../adapters/index.js';
import { UserError } from '../errors.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel, readConfig } from '../models/load.js';
import { networkOf } from '../models/network.js';
import { NewAdapter, type NewAdapterOptions } from '../models/new-adapter.js';
import { rawBytes, type SaveOptions } from '../models/save.js';
import { FolderAdapter } from '../models/stored-adapter.js';
import { storedName } from '../models/weight-dtypes.js';
import { adapterPrefix, isFactor } from '../nn/low-rank.js';
import { AdapterWeights } from './adapter-weights.js';
import { DividedBase } from './divided-base.js';
import type { LoadWeightsOptions } from './load.js';

export interface AdapterRequest {
  /** What the base is called in the files of the adapter. */
  base: string;
  /** A new adapter, or the folder of one that is trained on. */
  from: NewAdapterOptions | string;
}

/**
 * An adapter on the model in a folder, of which nothing is trained; several processes have that once between them where
 * `parallel.shard` is parameters. Errors: UserError for an adapter with parts that cannot be trained; those of
 * {@link loadModel} and {@link FolderAdapter}.
 */
export async function loadAdapterWeights(
  folder: string,
  { base: baseName, from }: AdapterRequest,
  { dtype, device = 'cpu', mesh, parallel }: LoadWeightsOptions,
): Promise<AdapterWeights> {
  const configJson = await readConfig(folder);
  const network = networkOf(configJson);
  using stored = typeof from === 'string' ? await FolderAdapter.over(from, configJson) : undefined;
  if (stored) requireTrainable(stored);
  const adapter = stored ?? new NewAdapter(network, from as NewAdapterOptions);
  const whole = new Set(adapter.whole);
  const { world, shard: group = ProcessGroup.alone() } = mesh ?? {};
  const isDivided = parallel?.shard === 'parameters' && world !== undefined && world.world > 1;
  const base = isDivided ? new DividedBase(configJson, { world: group, dtype, device, apart: whole }) : undefined;
  const place = base && ((name: string, value: Parameters<DividedBase['put']>[1]) => base.put(name, value));
  const model = await loadModel(folder, { dtype, device, place, adapter });
  const weights = new AdapterWeights(model, {
    ...{ whole, world, reduce: parallel?.reduce, base },
    write: (path, trained, options) => write(path, trained, { ...options, whole, baseName, adapter }),
  });
  weights.rest();
  return weights;
}

/** Errors: UserError for parts of an adapter that are merged when it is loaded, and so cannot be trained on. */
function requireTrainable({ folder, stored: { added, untiesHead } }: FolderAdapter): void {
  const [merged] = added.keys();
  if (merged === undefined && !untiesHead) return;
  const what = merged === undefined ? 'a head apart from the embedding' : `factors of ${merged}`;
  throw new UserError(
    `${folder} has ${what}, which cannot be trained on: merge it into its base (reanchor merge), and train a new adapter on that`,
  );
}

type WriteOptions = SaveOptions & { whole: ReadonlySet<string>; baseName: string; adapter: NewAdapter | FolderAdapter };

/** Writes what is trained of a model as an adapter in PEFT's form. */
async function write(
  folder: string,
  { configJson, parameters, lowRank }: CausalLM,
  { dtype = 'float32', whole, baseName, adapter }: WriteOptions,
): Promise<void> {
  const network = networkOf(configJson);
  const { dropout, bias, modulesToSave } = adapter.saved;
  const isRslora = [...lowRank.values()].some(({ scale, ...shape }) => {
    return Math.abs(scaleOf({ ...shape, rslora: false }) / scale - 1) > 1e-9;
  });
  const config = adapterConfigJson({ network, modules: lowRank, rslora: isRslora, dropout, base: baseName });
  const tensors = [...parameters].flatMap(([name, parameter]) => {
    if (!isFactor(name) && !whole.has(name)) return [];
    return {
      name: isFactor(name) ? name : wholeName(name),
      ...{ dtype: storedName(dtype), shape: parameter.shape, bytes: () => rawBytes(name, parameter, dtype) },
    };
  });
  const saved = modulesToSave.length > 0 ? { modules_to_save: [...modulesToSave] } : {};
  await writeAdapter(folder, { config: { ...config, bias, ...saved }, tensors });

  /** What PEFT calls a parameter of the base. */
  function wholeName(name: string): string {
    const module = name.slice(0, name.lastIndexOf('.'));
    if (lowRank.has(module)) return `${adapterPrefix}${module}.base_layer.${name.slice(module.length + 1)}`;
    return `${adapterPrefix}${name === headParameter(network) ? 'lm_head.weight' : name}`;
  }
}
