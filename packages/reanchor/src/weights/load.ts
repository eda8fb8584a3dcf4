import type { Device, DType } from '@reanchor/torch';
import { copyModel } from '../models/architectures.js';
import { loadModel } from '../models/load.js';
import { Weights } from './weights.js';

export interface LoadWeightsOptions {
  /** The dtype that the model computes in. */
  dtype: DType;
  /** The dtype of what the optimizer moves, where it is a wider one. */
  wide?: DType | undefined;
  device?: Device | undefined;
}

/** The weights of the model in a folder, all of them trained. Errors: those of {@link loadModel}. */
export async function loadWeights(folder: string, { dtype, wide, device }: LoadWeightsOptions): Promise<Weights> {
  if (wide === undefined) return new Weights(await loadModel(folder, { dtype, device }));
  const exact = await loadModel(folder, { dtype: wide, device });
  return new Weights(copyModel(exact, dtype), { wide: exact });
}
