/** From the name of a data set on the Hub to files of it. */
import { join } from 'node:path';
import { readText } from '../formats/index.js';
import type { RepositoryName } from './names.js';
import { type HubOptions, openRepository } from './repository.js';

/** Files that a data set consists of, before they are all here. */
export interface FileListing {
  /** As paths relative to the data set. */
  paths: readonly string[];
  /** The text of one of them. Errors: UserError; those of a download. */
  read(path: string): Promise<string>;
}

/**
 * The files of a data set that `choose` picks from its repository, in that order, downloaded into the Hub's cache
 * unless they are there. Errors: those of the choice, of a repository that is not given out and of failed downloads:
 * UserError.
 */
export async function datasetFiles(
  name: RepositoryName,
  choose: (listing: FileListing) => Promise<readonly string[]>,
  options: HubOptions = {},
): Promise<string[]> {
  const repository = await openRepository(name, options);
  const at = (path: string) => join(repository.folder, path);
  const chosen = await choose({
    paths: repository.paths,
    read: async (path) => {
      await repository.get([path]);
      return readText(at(path));
    },
  });
  await repository.get(chosen);
  return chosen.map(at);
}
