import type { Device } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { chooseDevice } from '../models/device.js';
import type { Recipe } from '../recipe/index.js';

/**
 * The device of a recipe's run, or the one of this process among those of a launcher. Errors: UserError for a device
 * that is not there, for what a GPU cannot do deterministically, and for what only a GPU can do.
 */
export function recipeDevice(
  {
    device: setting,
    deterministic,
    evaluate,
    parallel,
  }: Pick<Recipe, 'device' | 'deterministic' | 'evaluate' | 'parallel'>,
  device: Device = chooseDevice(setting),
): Device {
  if (device === 'cpu' && parallel.offload !== 'none') {
    throw new UserError(
      `parallel.offload: ${parallel.offload} is for runs on a GPU, and this one is on the CPU, where main memory is all there is: remove the key, or set device: cuda`,
    );
  }
  if (deterministic && device !== 'cpu' && evaluate.generate !== undefined) {
    throw new UserError(
      `deterministic: true does not go with evaluate.generate on ${device}: libtorch has no deterministic cumulative sum there, ` +
        'which answers are drawn with. Remove one of the two, or use device: cpu, where runs are deterministic anyway',
    );
  }
  return device;
}
