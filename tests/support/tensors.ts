import { type DType, fromFile, keep, type Tensor, tidy } from '@reanchor/torch';
import { openSafetensors } from '#reanchor/formats/index.js';

const dtypes: Record<string, DType> = { F64: 'float64', F32: 'float32', I64: 'int64' };

/** All tensors of a safetensors file, as float64 or int64; the caller disposes them, or lets the process end. */
export async function readTensors(path: string): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(path);
  return tidy(() => {
    const bytes = fromFile(path, false, file.fileBytes, { dtype: 'uint8' });
    return new Map(
      [...file.tensors].map(([name, { dtype, shape, begin, end }]) => {
        const stored = bytes
          .narrow(0, begin, end - begin)
          .clone()
          .view(dtypes[dtype]!)
          .view(shape);
        return [name, keep(dtype === 'I64' ? stored.clone() : stored.to('float64'))];
      }),
    );
  });
}
