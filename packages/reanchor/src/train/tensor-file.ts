/** Tensors by name in a safetensors file, in and out. */
import { fromFile, type Tensor, tidy } from '@reanchor/torch';
import { FormatError } from '../errors.js';
import { openSafetensors, type TensorToWrite, writeSafetensors } from '../formats/index.js';
import { storedName, weightDTypes } from '../models/weight-dtypes.js';

/** Writes tensors, one in memory at a time. Errors: UserError when the file cannot be written. */
export async function writeTensors(file: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const all = [...tensors].map(
    ([name, tensor]): TensorToWrite => ({
      name,
      dtype: storedName(tensor.dtype),
      shape: tensor.shape,
      bytes: () => tidy(() => tensor.detach().contiguous().reshape([-1]).view('uint8').data()) as Uint8Array,
    }),
  );
  await writeSafetensors(file, all);
}

/**
 * Copies the values of a file into tensors of the same names, shapes and dtypes; the file is mapped, so that no second copy
 * is made. Errors: FormatError where the file does not hold just these.
 */
export async function readTensorsInto(file: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const opened = await openSafetensors(file);
  const fail = (message: string): never => {
    throw new FormatError(message, { file });
  };
  for (const name of opened.tensors.keys()) if (!tensors.has(name)) fail(`tensor ${name} is not expected`);
  tidy(() => {
    const bytes = fromFile(file, false, opened.fileBytes, { dtype: 'uint8' });
    for (const [name, tensor] of tensors) {
      const stored = opened.tensors.get(name) ?? fail(`tensor ${name} is missing`);
      if (weightDTypes[stored.dtype] !== tensor.dtype || stored.shape.join() !== tensor.shape.join())
        fail(`tensor ${name} is ${stored.dtype} [${stored.shape}], and should be ${tensor}`);
      tidy(() => {
        const slice = bytes.narrow(0, stored.begin, stored.end - stored.begin);
        // A view as a wider type must begin at a multiple of its size.
        const aligned = stored.begin % 8 === 0 ? slice : slice.clone();
        tensor.detach().copy_(aligned.view(tensor.dtype).view(stored.shape));
      });
    }
  });
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
  const { fileBytes, tensors } = await openSafetensors(file);
  const [values, names] = [tensors.get('values'), tensors.get('names')];
  if (!values || !names) throw new FormatError('it holds no named numbers', { file });
  if (values.begin === values.end) return new Map();
  return tidy(() => {
    const bytes = fromFile(file, false, fileBytes, { dtype: 'uint8' });
    const list = bytes
      .narrow(0, values.begin, values.end - values.begin)
      .clone()
      .view('float64')
      .toList();
    const text = Buffer.from(bytes.narrow(0, names.begin, names.end - names.begin).data() as Uint8Array).toString();
    return new Map(text.split('\n').map((name, i) => [name, list[i]!]));
  });
}
