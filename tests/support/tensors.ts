import { type DType, fromFile, keep, type Tensor, tidy } from '@reanchor/torch';
import { openSafetensors } from '#reanchor/formats/index.js';

const dtypes: Record<string, DType> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  U8: 'uint8',
};

/** All tensors of a safetensors file as they are stored; the caller disposes them, or lets the process end. */
export async function readStored(path: string): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(path);
  return tidy(() => {
    const bytes = fromFile(path, false, file.fileBytes, { dtype: 'uint8' });
    return new Map(
      [...file.tensors].map(([name, { dtype, shape, begin, end }]) => {
        const stored = bytes.narrow(0, begin, end - begin).clone();
        return [name, keep(stored.view(dtypes[dtype]!).view(shape))];
      }),
    );
  });
}

/** {@link readStored}, as float64 or int64. */
export async function readTensors(path: string): Promise<Map<string, Tensor>> {
  const stored = await readStored(path);
  return new Map(
    [...stored].map(([name, value]) => {
      const wide = keep(value.to(value.dtype === 'int64' ? 'int64' : 'float64'));
      value.dispose();
      return [name, wide];
    }),
  );
}
