/** From the name of a data set on the Hub to files of it. */
import { join } from 'node:path';
import type { RepositoryName } from './names.js';
import { type HubOptions, openRepository } from './repository.js';

/**
 * The files of a data set that `choose` picks from the paths in its repository, in that order, downloaded into the Hub's
 * cache unless they are there. Errors: those of the choice, of a repository that is not given out and of failed
 * downloads: UserError.
 */
export async function datasetFiles(
  name: RepositoryName,
  choose: (paths: readonly string[]) => string[],
  options: HubOptions = {},
): Promise<string[]> {
  const repository = await openRepository(name, options);
  const chosen = choose(repository.paths);
  await repository.get(chosen);
  return chosen.map((path) => join(repository.folder, path));
}
