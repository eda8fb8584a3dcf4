import { type Device, kernelsProblem } from '@reanchor/torch';
import { UserError } from '../errors.js';
import { chooseDevice } from '../models/device.js';
import type { Recipe } from '../recipe/index.js';

/**
 * The device of a recipe's run, or the one of this process among those of a launcher. Errors: UserError for a device
 * that is not there, for what a GPU cannot do deterministically, for what only a GPU can do, and for kernels that
 * cannot be made.
 */
export function recipeDevice(
  {
    device: setting,
    deterministic,
    evaluate,
    parallel,
    kernels,
  }: Pick<Recipe, 'device' | 'deterministic' | 'evaluate' | 'parallel' | 'kernels'>,
  device: Device = chooseDevice(setting),
): Device {
  if (device === 'cpu' && parallel.offload !== 'none') {
    throw new UserError(
      `parallel.offload: ${parallel.offload} is for runs on a GPU, and this one is on the CPU, where main memory is all there is: remove the key, or set device: cuda`,
    );
  }
  if (kernels === 'fused') requireKernels(device);
  if (deterministic && device !== 'cpu' && evaluate.generate !== undefined) {
    throw new UserError(
      `deterministic: true does not go with evaluate.generate on ${device}: libtorch has no deterministic cumulative sum there, ` +
        'which answers are drawn with. Remove one of the two, or use device: cpu, where runs are deterministic anyway',
    );
  }
  return device;
}

function requireKernels(device: Device): void {
  if (device === 'cpu') {
    throw new UserError(
      'kernels: fused is for runs on a GPU, and this one is on the CPU, whose kernels are what they are: remove the key, or set device: cuda',
    );
  }
  const problem = kernelsProblem(device);
  if (problem === undefined) return;
  throw new UserError(`kernels: fused cannot be had on ${device}: ${problem}. Or use kernels: composed`);
}
