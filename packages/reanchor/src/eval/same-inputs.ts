import { foldersOf, type Group, type ModelPlace } from '../data/index.js';
import type { PassOptions } from '../models/passes.js';
import { requireSame } from '../parallel/together.js';
import { modelDigest, rowsDigest } from '../planning/digests.js';

/**
 * Makes sure that all processes have the same models, at these places, and the same tokens of what the option `name`
 * names. Errors: UserError that names the option; DistributedError.
 */
export async function requireSameInputs(
  world: PassOptions['world'],
  places: readonly ModelPlace[],
  name: 'answers' | 'data' | 'prompts',
  groups: readonly Group[],
): Promise<void> {
  if (world === undefined) return;
  const models = await Promise.all(places.flatMap(foldersOf).map(modelDigest));
  const rows = groups.flatMap(({ prompt, completions }) => [{ prompt }, ...completions.map((ids) => ({ ids }))]);
  requireSame(world, { model: models.join(' '), [name]: rowsDigest(rows) });
}
