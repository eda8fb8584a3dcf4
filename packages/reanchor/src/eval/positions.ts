import type { Group } from '../data/index.js';
import { readConfig } from '../models/load.js';
import { positionsNote, shortestOf } from '../models/positions.js';

/**
 * What is to be said, once, of rows that are longer than one of the models in these folders was made for, if they are.
 * Errors: those of the folders' config.json.
 */
export async function scoringNote(
  [first, ...others]: readonly [string, ...string[]],
  rows: readonly Group[],
): Promise<string | undefined> {
  let shortest = { configJson: await readConfig(first) };
  for (const folder of others) shortest = shortestOf([shortest, { configJson: await readConfig(folder) }]);
  return positionsNote(
    shortest,
    rows,
    (positions) => `its scores mean little; cut rows at ${positions} tokens (--max-length)`,
  );
}
