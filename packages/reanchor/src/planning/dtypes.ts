import type { DType } from '@reanchor/torch';
import type { SaveOptions } from '../models/save.js';
import { type Recipe, sizeBytes } from '../recipe/index.js';

const dtypes = {
  fp32: 'float32',
  fp64: 'float64',
  bf16: 'bfloat16',
  'bf16-params': 'bfloat16',
  fp16: 'float16',
} as const satisfies Record<Recipe['precision'] | NonNullable<Recipe['save']['dtype']>, DType>;

/** The dtype that a recipe's model computes in. */
export const trainingDType = ({ precision }: Pick<Recipe, 'precision'>): DType => dtypes[precision];

/** Whether the optimizer moves float32 weights besides those that the model computes with. */
export const hasMasterWeights = ({ precision }: Pick<Recipe, 'precision'>): boolean => precision === 'bf16';

/**
 * The dtype that a recipe's reference is kept in. One that moves by small parts keeps float32 weights, since in half
 * precision the parts would be rounded away.
 */
export function referenceDType({ precision, reference }: Pick<Recipe, 'precision' | 'reference'>): DType {
  const movesByParts = reference.update === 'soft' || reference.update === 'mixed';
  return movesByParts && dtypes[precision] === 'bfloat16' ? 'float32' : dtypes[precision];
}

/** How a recipe's trained model is stored. */
export function recipeSaveOptions({
  precision,
  save,
}: Pick<Recipe, 'precision' | 'save'>): Required<Omit<SaveOptions, 'config'>> {
  return { dtype: dtypes[save.dtype ?? precision], maxShardBytes: sizeBytes(save.maxShardSize) };
}
