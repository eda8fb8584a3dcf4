import { setDeterministic, setMatmulPrecision, setNumThreads } from '@reanchor/torch';

/** What libtorch has once for a process. A recipe has these keys. */
export interface ProcessSettings {
  /** CPU threads of an operator. Left as they are when left out: at first OMP_NUM_THREADS, or one for each core. */
  threads?: number | undefined;
  /** Whether operators have to give the same bits every time; it matters on a GPU. Left as it is when left out: off. */
  deterministic?: boolean | undefined;
  /** What products of float32 matrices are computed in. Left as it is when left out: fp32. */
  matmul?: 'fp32' | 'bf16' | undefined;
}

/**
 * Sets threads, determinism and products of this process, for all that it computes from now on. The command
 * `reanchor train` does so with its recipe; a program of several runs decides for itself, before it uses a GPU for the
 * first time.
 */
export function configureProcess({ threads, deterministic, matmul }: ProcessSettings): void {
  if (threads !== undefined) setNumThreads(threads);
  if (deterministic !== undefined) setDeterministic(deterministic);
  if (matmul !== undefined) setMatmulPrecision(matmul);
}
