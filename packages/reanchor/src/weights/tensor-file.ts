/** Tensors by name in a safetensors file, in and out. */
import { closeSync } from 'node:fs';
import { tensor as fromBytes, type Tensor, tidy } from '@reanchor/torch';
import { FormatError } from '../errors.js';
import { openSafetensors, openSync, readStored, type TensorToWrite, writeSafetensors } from '../formats/index.js';
import type { StoredParameter } from '../models/save.js';
import { storedName, weightDTypes } from '../models/weight-dtypes.js';
import type { Piece } from './unit.js';

/** Writes tensors, one in memory at a time. Errors: UserError when the file cannot be written. */
export async function writeTensors(file: string, tensors: readonly StoredParameter[]): Promise<void> {
  const all = tensors.map(
    ({ name, dtype, shape, value }): TensorToWrite => ({
      name,
      dtype: storedName(dtype),
      shape,
      bytes: () => tidy(() => value().detach().contiguous().reshape([-1]).view('uint8').data()) as Uint8Array,
    }),
  );
  await writeSafetensors(file, all);
}

/**
 * Copies the values of a file into tensors of the same names, shapes and dtypes, one in memory at a time. Errors:
 * FormatError where the file does not hold just these.
 */
export async function readTensorsInto(file: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const stored = (await openSafetensors(file)).tensors;
  for (const name of stored.keys())
    if (!tensors.has(name)) throw new FormatError(`tensor ${name} is not expected`, { file });
  await readPiecesInto(
    file,
    new Map([...tensors].map(([name, tensor]) => [name, { tensor, from: 0, shape: tensor.shape }])),
  );
}

/**
 * Copies parts of a file's tensors into pieces of them, by name, one tensor in memory at a time; the file may hold
 * more. Errors: FormatError where it lacks one, or has it in another shape or dtype.
 */
export async function readPiecesInto(file: string, pieces: ReadonlyMap<string, Piece>): Promise<void> {
  const stored = (await openSafetensors(file)).tensors;
  const handle = openSync(file);
  try {
    for (const [name, { tensor, from, shape }] of pieces) {
      const found = stored.get(name);
      if (!found) throw new FormatError(`tensor ${name} is missing`, { file });
      if (weightDTypes[found.dtype] !== tensor.dtype || found.shape.join() !== shape.join())
        throw new FormatError(
          `tensor ${name} is ${found.dtype} [${found.shape}], and should be ${tensor.dtype} [${shape}]`,
          { file },
        );
      const bytes = readStored(handle, found, file);
      tidy(() => {
        const part = fromBytes(bytes).view(tensor.dtype).narrow(0, from, tensor.numel);
        tensor.detach().copy_(part.view(tensor.shape));
      });
    }
  } finally {
    closeSync(handle);
  }
}

/** Writes numbers by name, in float64. Errors: UserError when the file cannot be written. */
export async function writeNumbers(file: string, numbers: ReadonlyMap<string, number>): Promise<void> {
  const names = Buffer.from([...numbers.keys()].join('\n'));
  const values = Float64Array.from(numbers.values());
  await writeSafetensors(file, [
    { name: 'values', dtype: 'F64', shape: [values.length], bytes: () => new Uint8Array(values.buffer) },
    { name: 'names', dtype: 'U8', shape: [names.length], bytes: () => names },
  ]);
}

/** The numbers that {@link writeNumbers} wrote, in their order. Errors: FormatError. */
export async function readNumbers(file: string): Promise<Map<string, number>> {
  const { tensors } = await openSafetensors(file);
  const [values, names] = [tensors.get('values'), tensors.get('names')];
  if (!values || !names) throw new FormatError('it holds no named numbers', { file });
  if (values.begin === values.end) return new Map();
  const handle = openSync(file);
  try {
    const numbers = new Float64Array(readStored(handle, values, file).buffer);
    const text = Buffer.from(readStored(handle, names, file)).toString();
    return new Map(text.split('\n').map((name, i) => [name, numbers[i]!]));
  } finally {
    closeSync(handle);
  }
}
