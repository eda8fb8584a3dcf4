import type { Device } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { chooseDevice } from '../models/device.js';
import type { Recipe } from '../recipe/index.js';

/**
 * The device of a recipe's run. Errors: UserError for a device that is not there, and for what a GPU cannot do
 * deterministically.
 */
export function recipeDevice({
  device: setting,
  deterministic,
  evaluate,
}: Pick<Recipe, 'device' | 'deterministic' | 'evaluate'>): Device {
  const device = chooseDevice(setting);
  if (deterministic && device !== 'cpu' && evaluate.generate !== undefined) {
    throw new UserError(
      `deterministic: true does not go with evaluate.generate on ${device}: libtorch has no deterministic cumulative sum there, ` +
        'which answers are drawn with. Remove one of the two, or use device: cpu, where runs are deterministic anyway',
    );
  }
  return device;
}
