/** From the name of a model to a folder with its files. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { isPickle, pickleRefusal, shardNames } from '../formats/index.js';
import { fetchAdapter, isAdapterFolder, isAdapterRepository } from './adapter-folder.js';
import { isOfUse } from './files-of-use.js';
import { parseRepositoryName, repositoryText } from './names.js';
import { type HubOptions, openRepository, type Repository } from './repository.js';

/** What {@link modelFolder} downloads of a model. */
export interface ModelFolderOptions extends HubOptions {
  /** Whether the weights are needed. Default: true. */
  weights?: boolean | undefined;
}

const required = ['config.json', 'tokenizer.json'];
const single = 'model.safetensors';
const index = 'model.safetensors.index.json';
/** What the files of a model are called that it has to have, its weights in one file or in those of an index. */
export const modelFiles = { config: 'config.json', single, index } as const;

/**
 * The folder of a model that is named by its folder, or else by `owner/name` or `owner/name@revision` on the Hugging
 * Face Hub: of this config.json, the tokenizer's files, generation_config.json and safetensors weights are downloaded
 * into the Hub's cache unless they are there. A folder of that name here is taken before the Hub is asked.
 *
 * Errors: UserError for a name that is neither, for the folder of a run or of an adapter, for a model that the Hub does
 * not give out or that has no safetensors weights, and for failed downloads.
 */
export async function modelFolder(name: string, options: ModelFolderOptions = {}): Promise<string> {
  const folder = await modelOrAdapterFolder(name, options);
  if (!isAdapterFolder(folder)) return folder;
  throw new UserError(
    `${name} holds an adapter, and no model: name the model that it is on, and the adapter beside it`,
  );
}

/** As {@link modelFolder}, and the folder of an adapter as well, for which `isAdapterFolder` holds. */
export async function modelOrAdapterFolder(name: string, options: ModelFolderOptions = {}): Promise<string> {
  if (existsSync(name)) return localFolder(name);
  const repositoryName = parseRepositoryName(name, 'model');
  if (!repositoryName) {
    throw new UserError(
      `${name} does not exist: a model is a folder with config.json, ${single} and tokenizer.json (of a run, its final/), or owner/name of one on the Hugging Face Hub, such as EleutherAI/pythia-2.8b`,
    );
  }
  const repository = await openRepository(repositoryName, options);
  if (isAdapterRepository(repository)) return await fetchAdapter(repository);
  const weights = options.weights === false ? [] : weightFiles(repository, repositoryText(repositoryName));
  await repository.get([...required, ...repository.paths.filter(isOfUse), ...weights]);
  if (weights[0] === index) await repository.get(await shardNames(join(repository.folder, index)));
  return repository.folder;
}

function localFolder(name: string): string {
  if (statSync(name).isDirectory()) {
    if (existsSync(join(name, 'run.json')) && !existsSync(join(name, 'config.json'))) throw runNamed(name);
    return name;
  }
  if (isPickle(name)) throw new UserError(`${name} holds ${pickleRefusal}`);
  throw new UserError(`${name} is a file: a model is a folder with config.json, ${single} and tokenizer.json`);
}

/** That a run folder is no model, and which folder in it is one. */
function runNamed(run: string): UserError {
  const final = join(run, 'final');
  const next = existsSync(final)
    ? `name its model, ${final}`
    : `it is not finished, name one of ${join(run, 'checkpoints/step-*')}`;
  return new UserError(`${run} is a run folder, and no model: ${next}`);
}

/** What of the weights can be asked for by its name; the files of an index are in it. */
function weightFiles({ paths }: Repository, text: string): string[] {
  if (paths.includes(single)) return [single];
  if (paths.includes(index)) return [index];
  const pickled = paths.filter((path) => !path.includes('/') && isPickle(path));
  if (pickled.length === 0) return [single];
  const many =
    pickled.length > 3 ? `${pickled.slice(0, 3).join(', ')} and ${pickled.length - 3} more` : pickled.join(', ');
  throw new UserError(
    `${text} has no ${single}; ${many} holds ${pickleRefusal}. A revision with safetensors can be named too: ${text.split('@')[0]}@refs/pr/1, if the Hub has converted it`,
  );
}
