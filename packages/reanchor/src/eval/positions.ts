import type { Group, ModelPlace } from '../data/index.js';
import { readConfig } from '../models/load.js';
import { positionsNote, shortestOf } from '../models/positions.js';
import { quantizationNote } from '../models/saved-config.js';

/**
 * What is to be said of the models at these places before they score rows: once, that rows are longer than one of them
 * was made for; and what their config.json says of weights that are not quantised. Errors: those of config.json.
 */
export async function scoringNotes(places: readonly ModelPlace[], rows: readonly Group[]): Promise<string[]> {
  const models = await Promise.all(places.map(async ({ base }) => ({ configJson: await readConfig(base) })));
  const [first, ...others] = models;
  if (first === undefined) return [];
  const tooLong = positionsNote(
    shortestOf([first, ...others]),
    rows,
    (positions) => `its scores mean little; cut rows at ${positions} tokens (maxLength)`,
  );
  const notes = [tooLong, ...models.map(({ configJson }) => quantizationNote(configJson))];
  return [...new Set(notes)].filter((note) => note !== undefined);
}
