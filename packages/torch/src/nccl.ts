/** Whether the addon can be compiled with NCCL: the headers of it and of CUDA. Nothing here loads native code. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { Located } from './locate.js';

/** The folders of the headers, or why there is no NCCL. */
export type Nccl = { include: string[] } | { why: string };

/** A header of each wheel that libtorch's own headers lead to, and the wheel; by the names of CUDA 13. */
const NEEDED: readonly (readonly [header: string, wheel: string])[] = [
  ['nccl.h', 'nvidia-nccl-cu13'],
  ['cuda_runtime_api.h', 'nvidia-cuda-runtime'],
  ['cublas_v2.h', 'nvidia-cublas'],
  ['cusolverDn.h', 'nvidia-cusolver'],
  ['cusparse.h', 'nvidia-cusparse'],
  // The two that torch does not require.
  ['crt/host_config.h', 'nvidia-cuda-crt'],
  ['nv/target', 'nvidia-cuda-cccl'],
];

const ownToolkits = () => [process.env.CUDA_HOME ?? '', '/usr/local/cuda'].filter(isAbsolute);

/**
 * Where the headers for NCCL are: in the wheels beside libtorch (`nvidia/<wheel>/include`), below CUDA_HOME or in
 * /usr/local/cuda. A libtorch without CUDA has no NCCL.
 */
export function ncclHeaders({ folder }: Pick<Located, 'folder'>, toolkits: readonly string[] = ownToolkits()): Nccl {
  if (!existsSync(join(folder, 'lib', 'libtorch_cuda.so'))) return { why: 'this libtorch was built without CUDA' };
  const wheels = join(dirname(folder), 'nvidia');
  const candidates = [
    ...(existsSync(wheels) ? readdirSync(wheels).sort() : []).map((name) => join(wheels, name, 'include')),
    ...toolkits.map((path) => join(path, 'include')),
  ].flatMap((path) => [path, join(path, 'cccl')]);
  const homes = NEEDED.map(([header]) => candidates.find((path) => existsSync(join(path, header))));
  const missing = NEEDED.filter((_, i) => homes[i] === undefined);
  if (missing.length === 0) return { include: [...new Set(homes as string[])] };
  return {
    why:
      `${missing.map(([header]) => header).join(', ')} not found beside libtorch (${wheels}), below CUDA_HOME or in ` +
      `/usr/local/cuda. Install ${missing.map(([, wheel]) => wheel).join(', ')} beside it, or a CUDA toolkit, and run ` +
      'npx reanchor setup',
  };
}
