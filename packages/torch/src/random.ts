import { type Device, deviceCode } from './device.js';
import { native } from './native.js';

/** Seeds the generators of every device. `seed` is an integer from 0 to 2^53 - 1. */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`a seed is an integer from 0 to 2^53 - 1, got ${seed}`);
  }
  native().manualSeed(seed);
}

/** State of a device's generator. Given back to setRngState(), the same random numbers follow. */
export const rngState = (device: Device = 'cpu'): Uint8Array => native().rngState(deviceCode(device) as number);

/** Puts the generator of a device into a state that {@link rngState} gave. */
export function setRngState(state: Uint8Array, device: Device = 'cpu'): void {
  native().setRngState(state, deviceCode(device) as number);
}
