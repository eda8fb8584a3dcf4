import { closeSync } from 'node:fs';
import { type Device, type DType, tensor as fromBytes, type Tensor, tidy } from '@reanchor/torch';
import { FormatError } from '../errors.js';
import { openSync, readStored, type WeightTensor } from '../formats/index.js';
import { weightDTypes } from './weight-dtypes.js';

/**
 * The weight file that was last asked for. It is read, not mapped: a file that becomes shorter meanwhile would end a
 * process that has it mapped (SIGBUS).
 */
export class WeightFile implements Disposable {
  #open: { file: string; handle: number } | undefined;

  bytes(entry: WeightTensor): Uint8Array {
    if (this.#open?.file !== entry.file) {
      this[Symbol.dispose]();
      this.#open = { file: entry.file, handle: openSync(entry.file) };
    }
    return readStored(this.#open.handle, entry, entry.file);
  }

  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#open.handle);
    this.#open = undefined;
  }
}

/** A stored weight, in `dtype` and on `device`. Errors: FormatError for what is no number, or is quantised. */
export function readTensor(
  name: string,
  entry: WeightTensor,
  { dtype, device }: { dtype: DType; device: Device },
  files: WeightFile,
): Tensor {
  const stored = weightDTypes[entry.dtype];
  if (!stored) {
    throw new FormatError(
      `weight ${name} is ${entry.dtype}; weights in ${Object.keys(weightDTypes).join(', ')} can be loaded, quantised ones cannot`,
      { file: entry.file },
    );
  }
  const bytes = files.bytes(entry);
  return tidy(() => fromBytes(bytes).view(stored).view(entry.shape).to({ dtype, device }));
}
