import { ProcessGroup } from '@reanchor/torch';
import {
  adapterConfigJson,
  adapterPrefix,
  type BaseQuantization,
  headParameter,
  moduleOf,
  otherToolsNotes,
  parseAdapterConfig,
  rewrittenConfigJson,
  scaleOf,
  writeAdapter,
} from '../adapters/index.js';
import { UserError } from '../errors.js';
import type { CausalLM } from '../models/causal-lm.js';
import { loadModel, readConfig } from '../models/load.js';
import { networkOf } from '../models/network.js';
import { NewAdapter, type NewAdapterOptions } from '../models/new-adapter.js';
import { rawBytes, type SaveOptions } from '../models/save.js';
import { FolderAdapter } from '../models/stored-adapter.js';
import { storedName } from '../models/weight-dtypes.js';
import { isFactor } from '../nn/low-rank.js';
import { AdapterWeights } from './adapter-weights.js';
import { DividedBase } from './divided-base.js';
import type { LoadWeightsOptions } from './load.js';

/** The adapter that is trained on a base: a new one, or one that there is. */
export interface AdapterRequest {
  /** What the base is called in the files of the adapter. */
  base: string;
  /** Its commit, where it is on the Hub. */
  revision?: string | undefined;
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
  { base: baseName, revision, from }: AdapterRequest,
  { dtype, device = 'cpu', mesh, parallel, quantize, kernels }: LoadWeightsOptions,
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
  const model = await loadModel(folder, { dtype, device, place, adapter, quantize, kernels });
  if (base && model.quantized.size > 0) {
    throw new UserError(
      `${folder} holds weights of 4 bits, which are not divided among processes: use parallel.shard none`,
    );
  }
  const saved = { whole, baseName, revision: revision ?? null, adapter, quantize };
  const config = parseAdapterConfig(configOf(model, saved), 'adapter_config.json');
  const weights = new AdapterWeights(model, {
    ...{ whole, world, reduce: parallel?.reduce, base },
    notes: otherToolsNotes(model.lowRank, config),
    write: (path, trained, options) => write(path, trained, saved, options),
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

interface Saved {
  /** The parameters of the base that are trained whole. */
  whole: ReadonlySet<string>;
  baseName: string;
  revision: string | null;
  adapter: NewAdapter | FolderAdapter;
  quantize: BaseQuantization | undefined;
}

/** Writes what is trained of a model as an adapter in PEFT's form. */
async function write(folder: string, model: CausalLM, saved: Saved, options: SaveOptions): Promise<void> {
  const { dtype = 'float32' } = options;
  const head = headParameter(networkOf(model.configJson));
  const tensors = [...model.parameters].flatMap(([name, parameter]) => {
    if (!isFactor(name) && !saved.whole.has(name)) return [];
    return {
      name: isFactor(name) ? name : wholeName(name, { lowRank: model.lowRank, head }),
      ...{ dtype: storedName(dtype), shape: parameter.shape, bytes: () => rawBytes(name, parameter, dtype) },
    };
  });
  await writeAdapter(folder, { config: configOf(model, saved), tensors, quantize: saved.quantize });
}

/** What PEFT calls a parameter of the base. */
function wholeName(name: string, { lowRank, head }: Pick<CausalLM, 'lowRank'> & { head: string }): string {
  const module = moduleOf(name);
  if (lowRank.has(module)) return `${adapterPrefix}${module}.base_layer.${name.slice(module.length + 1)}`;
  return `${adapterPrefix}${name === head ? 'lm_head.weight' : name}`;
}

/** The config of a model's adapter; that of a folder which is trained on keeps all that it said. */
function configOf({ configJson, lowRank }: CausalLM, { baseName, revision, adapter }: Saved): Record<string, unknown> {
  if (adapter instanceof FolderAdapter && hasForm(lowRank, adapter)) {
    return { ...rewrittenConfigJson(adapter.config), base_model_name_or_path: baseName, revision };
  }
  const { dropout, bias, modulesToSave } = adapter.saved;
  const rslora = [...lowRank.values()].some((shape) => !isClose(scaleOf({ ...shape, rslora: false }), shape.scale));
  const network = networkOf(configJson);
  const config = adapterConfigJson({ network, modules: lowRank, rslora, dropout, base: baseName });
  return { ...config, revision, bias, modules_to_save: modulesToSave.length > 0 ? [...modulesToSave] : null };
}

/** Whether factors have the ranks and alphas of a folder: those of an averaged reference have not. */
const hasForm = (lowRank: CausalLM['lowRank'], { stored: { modules } }: FolderAdapter): boolean =>
  [...lowRank].every(([layer, { r, alpha }]) => modules.get(layer)?.r === r && modules.get(layer)?.alpha === alpha);

const isClose = (a: number, b: number) => Math.abs(a / b - 1) < 1e-9;
