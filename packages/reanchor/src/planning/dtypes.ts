import { adamw8bitBlock, type DType } from '@reanchor/torch';
import { factorDType } from '../models/adapter.js';
import type { SaveOptions } from '../models/save.js';
import { type Recipe, sizeBytes } from '../recipe/index.js';

/** The dtypes that a recipe's words mean. */
export const dtypes = {
  fp32: 'float32',
  fp64: 'float64',
  bf16: 'bfloat16',
  'bf16-params': 'bfloat16',
  fp16: 'float16',
} as const satisfies Record<Recipe['precision'] | NonNullable<Recipe['save']['dtype']>, DType>;

/** The dtypes of a run's weights. */
export interface PlannedDTypes {
  /** In which policy and reference compute. */
  dtype: DType;
  /** In which the optimizer moves the policy's weights, where that is a wider one. */
  wide: DType | undefined;
  /** In which the reference keeps its weights. */
  reference: DType;
}

/**
 * The dtypes of a recipe's weights. A reference that moves by small parts keeps float32 weights, since in half
 * precision the parts would be rounded away. An adapter is kept in float32 beside a base in half precision.
 */
export function recipeDTypes({
  precision,
  reference,
  adapter,
}: Pick<Recipe, 'precision' | 'reference' | 'adapter'>): PlannedDTypes {
  const dtype = dtypes[precision];
  if (adapter) return { dtype, wide: undefined, reference: factorDType(dtype) };
  const movesByParts = reference.update === 'soft' || reference.update === 'mixed';
  return {
    dtype,
    wide: precision === 'bf16' ? 'float32' : undefined,
    reference: movesByParts && dtype === 'bfloat16' ? 'float32' : dtype,
  };
}

/** How a recipe's trained model is stored. */
export function recipeSaveOptions({
  precision,
  save,
  adapter,
}: Pick<Recipe, 'precision' | 'save' | 'adapter'>): Required<Omit<SaveOptions, 'config'>> {
  const trained = adapter && precision !== 'fp64' ? 'fp32' : precision;
  return { dtype: dtypes[save.dtype ?? trained], maxShardBytes: sizeBytes(save.maxShardSize) };
}

/** Bytes of a moment of AdamW where it has a form of its own: a code, and a part of what its block shares. */
export const recipeMomentBytes = ({ optimizer }: Recipe): number | undefined =>
  optimizer.moments === '8bit' ? 1 + 4 / adamw8bitBlock : undefined;
