import type { DType } from '@reanchor/torch';
import type { SaveOptions } from '../models/save.js';
import { type Recipe, sizeBytes } from '../runs/index.js';

const dtypes = { fp32: 'float32', fp64: 'float64', bf16: 'bfloat16', fp16: 'float16' } as const satisfies Record<
  Recipe['precision'] | NonNullable<Recipe['save']['dtype']>,
  DType
>;

/** The dtype that a recipe's model is trained in. */
export const trainingDType = ({ precision }: Pick<Recipe, 'precision'>): DType => dtypes[precision];

/** How a recipe's trained model is stored. */
export function recipeSaveOptions({ precision, save }: Pick<Recipe, 'precision' | 'save'>): Required<SaveOptions> {
  return { dtype: dtypes[save.dtype ?? precision], maxShardBytes: sizeBytes(save.maxShardSize) };
}
