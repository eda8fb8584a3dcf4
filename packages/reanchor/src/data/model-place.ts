/** From the name of a model, which may be an adapter, to the folders with its files. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BaseQuantization, baseQuantization, readAdapterConfig } from '../adapters/index.js';
import { type Naming, shown, UserError } from '../errors.js';
import {
  adapterFolder,
  type HubOptions,
  isAdapterFolder,
  type ModelFolderOptions,
  modelFolder,
  modelOrAdapterFolder,
  parseRepositoryName,
  repositoryText,
} from '../hub/index.js';
import { textHere } from '../recipe/index.js';
import { type RunText, runTextOfModel } from '../runs/index.js';
import { atCommit } from './run-places.js';

/** Where the files of a model are: in a Hugging Face folder, and where it has an adapter, in that of the adapter. */
export interface ModelPlace {
  /** With config.json and the weights. */
  base: string;
  /** With adapter_config.json and the adapter's weights. */
  adapter?: string | undefined;
  /** How the matrices of the base are quantised when they are loaded, where the adapter was trained on such. */
  quantize?: BaseQuantization | undefined;
}

/** A model by its folder alone has no adapter. */
export const placeOf = (model: string | ModelPlace): ModelPlace =>
  typeof model === 'string' ? { base: model } : model;

/** The folder that a model goes by. It is of the run that left the model, and has its tokenizer, if it has one. */
export const folderOf = ({ base, adapter }: ModelPlace): string => adapter ?? base;

/** All folders of a model, the one that it goes by first. */
export const foldersOf = ({ base, adapter }: ModelPlace): string[] => [
  ...(adapter === undefined ? [] : [adapter]),
  base,
];

/** How {@link modelPlace} finds a model and the adapter on it. */
export interface ModelPlaceOptions extends ModelFolderOptions {
  /** The adapter on the model, by its folder or its name on the Hub. */
  adapter?: string | undefined;
  /** The model that an adapter is on, where `name` is an adapter. Default: the one that it names. */
  base?: string | undefined;
  /** What helps where the base that an adapter names is not there. */
  remedy?: ((option: Naming, adapter: string) => string) | undefined;
}

/**
 * Where the files of a model are, by its name as `modelFolder` takes it, or the name of an adapter alone. An adapter
 * that a run has left is on the model of its recipe; another one on its `base_model_name_or_path`: a folder as it is
 * written, else one that is so from the adapter's folder on, else a name on the Hub. Errors: UserError, also for an
 * adapter whose base is not there; FormatError.
 */
export async function modelPlace(name: string, options: ModelPlaceOptions = {}): Promise<ModelPlace> {
  const { adapter, base: given, remedy = nameBoth, ...hub } = options;
  const folder = await (adapter === undefined ? modelOrAdapterFolder(name, hub) : adapterFolder(adapter, hub));
  if (adapter === undefined && !isAdapterFolder(folder)) return { base: folder };
  const run = runTextOfModel(folder);
  const explicit = adapter === undefined ? given : name;
  const base = await (explicit === undefined ? baseOf(folder, run, { ...hub, remedy }) : modelFolder(explicit, hub));
  const quantize = await baseQuantization(folder);
  if (quantize === undefined) return { base, adapter: folder };
  hub.onNote?.(
    `the model under ${folder} is quantised when it is loaded (${quantize}), as it was when that was trained`,
  );
  return { base, adapter: folder, quantize };
}

const nameBoth = (option: Naming, adapter: string) => `give ${option('model')} BASE ${option('adapter')} ${adapter}`;

/** The folder of the model that an adapter names. Errors: UserError, FormatError. */
async function baseOf(
  folder: string,
  run: RunText | undefined,
  { remedy, ...hub }: ModelFolderOptions & { remedy: NonNullable<ModelPlaceOptions['remedy']> },
): Promise<string> {
  const { base, json } = await readAdapterConfig(folder);
  const written = run?.recipe.model ?? base;
  if (written === undefined) {
    throw new UserError(
      (option) => `${folder} does not say which model it is an adapter on: ${remedy(option, folder)}`,
    );
  }
  try {
    return await modelFolder(baseName(written, { folder, run, revision: json.revision }), hub);
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    throw new UserError(
      (option) =>
        `${folder} is an adapter on ${shown(written)}, which was looked for from ${process.cwd()}, from the folder of ` +
        `the adapter, and on the Hub: ${cause.told(option)}. If it is elsewhere, ${remedy(option, folder)}`,
      { cause },
    );
  }
}

/** Where a base is looked for that an adapter names. A run had it from the Hub at a commit. */
function baseName(
  written: string,
  { folder, run, revision }: { folder: string; run: RunText | undefined; revision: unknown },
): string {
  const name = run ? textHere('model', written) : written;
  const here = [name, resolve(folder, name)].find((path) => existsSync(path));
  if (here !== undefined) return here;
  const onHub = parseRepositoryName(name, 'model');
  if (run) return atCommit(run, onHub) ?? name;
  if (onHub?.revision !== 'main' || typeof revision !== 'string') return name;
  return repositoryText({ ...onHub, revision });
}

/**
 * The place among those of models that is of a run, by which rows become tokens as there; found anew where none is, and
 * the first where the run has no model yet. Errors: those of {@link modelPlace}.
 */
export async function placeOfRun(
  run: Pick<RunText, 'folder'> | undefined,
  places: readonly [ModelPlace, ...ModelPlace[]],
  { onNote, onDownload, signal, clock }: HubOptions = {},
): Promise<ModelPlace> {
  const { folder } = run ?? {};
  if (folder === undefined) return places[0];
  const own = places.find((place) => resolve(folderOf(place)) === resolve(folder));
  return own ?? (await modelPlace(folder, { onNote, onDownload, signal, clock, weights: false }));
}
