/** Tensors by name in a safetensors file, in and out. */
import { closeSync } from 'node:fs';
import { tidy } from '@reanchor/torch';
import { FormatError } from '../errors.js';
import { openSafetensors, openSync, readStored, type TensorToWrite, writeSafetensors } from '../formats/index.js';
import type { StoredParameter } from '../models/save.js';
import { storedName } from '../models/weight-dtypes.js';

/** Writes tensors, one in memory at a time. Errors: UserError when the file cannot be written. */
export async function writeTensors(
  file: string,
  tensors: readonly StoredParameter[],
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const all = tensors.map(
    ({ name, dtype, shape, value }): TensorToWrite => ({
      name,
      dtype: storedName(dtype),
      shape,
      bytes: () => tidy(() => value().detach().contiguous().reshape([-1]).view('uint8').data()) as Uint8Array,
    }),
  );
  await writeSafetensors(file, all, metadata);
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
