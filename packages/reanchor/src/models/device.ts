import { type Device, deviceCount } from '@reanchor/torch';
import { UserError } from '../errors.js';

/** What a recipe or a flag may say of the device. */
const devicePattern = /^(auto|cpu|cuda|cuda:\d{1,2})$/;

/**
 * The device that a setting means: `cpu`, `cuda:N`, `cuda` for the first one, `auto` for the first one where there is
 * any and the CPU elsewhere. The devices are those that the driver shows to this process (CUDA_VISIBLE_DEVICES).
 * Errors: UserError for a device that is not there, and for a text that names none.
 */
export function chooseDevice(setting = 'auto'): Device {
  if (!devicePattern.test(setting)) {
    throw new UserError(`device: ${JSON.stringify(setting)} is not allowed; auto, cpu, cuda, cuda:0, cuda:1, ... are`);
  }
  if (setting === 'cpu') return 'cpu';
  const count = deviceCount();
  if (setting === 'auto') return count > 0 ? 'cuda:0' : 'cpu';
  const index = setting === 'cuda' ? 0 : Number(setting.slice('cuda:'.length));
  if (index < count) return `cuda:${index}`;
  const there =
    count === 0
      ? 'libtorch sees no CUDA device: either it is a build for the CPU (REANCHOR_LIBTORCH names another), or the machine or ' +
        'its driver shows none'
      : `libtorch sees ${count === 1 ? 'one CUDA device, cuda:0' : `${count} CUDA devices, cuda:0 to cuda:${count - 1}`}`;
  throw new UserError(
    `device: ${setting} is not there; ${there}. npx reanchor doctor lists what is; use device: cpu or auto`,
  );
}
