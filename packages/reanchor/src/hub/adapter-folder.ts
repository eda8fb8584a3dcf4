/** From the name of an adapter to a folder with its files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { isOfUse } from './files-of-use.js';
import { parseRepositoryName } from './names.js';
import { type HubOptions, openRepository, type Repository } from './repository.js';

/** The files that an adapter has to have. */
export const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors'] as const;
const [config, weights] = adapterFiles;

/** Whether a folder holds an adapter, and no model. */
export const isAdapterFolder = (folder: string): boolean =>
  existsSync(join(folder, config)) && !existsSync(join(folder, 'config.json'));

/** Whether a repository has an adapter, and no model. */
export const isAdapterRepository = ({ paths }: Repository): boolean =>
  paths.includes(config) && !paths.includes('config.json');

/** Makes sure that the files of an adapter are there, with those of a tokenizer beside it. Returns their folder. */
export async function fetchAdapter(repository: Repository): Promise<string> {
  const { paths, folder } = repository;
  await repository.get([config, weights, ...paths.filter((path) => path === 'tokenizer.json' || isOfUse(path))]);
  return folder;
}

/**
 * The folder of an adapter that is named by its folder, or else by `owner/name` or `owner/name@revision` on the Hugging
 * Face Hub. Errors: UserError for a name that is neither, for a folder without an adapter, and for failed downloads.
 */
export async function adapterFolder(name: string, options: HubOptions = {}): Promise<string> {
  if (existsSync(name)) {
    if (existsSync(join(name, config))) return name;
    const final = join(name, 'final');
    const next = isAdapterFolder(final) ? `: name that of its run, ${final}` : '';
    throw new UserError(`${name} holds no adapter, which is a folder of PEFT with ${config} and ${weights}${next}`);
  }
  const repositoryName = parseRepositoryName(name, 'model');
  if (!repositoryName) {
    throw new UserError(
      `${name} does not exist: an adapter is a folder of PEFT with ${config} and ${weights}, or owner/name of one on the Hugging Face Hub`,
    );
  }
  return await fetchAdapter(await openRepository(repositoryName, options));
}
