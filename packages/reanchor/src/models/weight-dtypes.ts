import type { DType } from '@reanchor/torch';

/** The dtypes of weights by the names that safetensors files have for them; others, quantised ones, are not read. */
export const weightDTypes: Readonly<Record<string, DType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** With those that only the state of an optimizer has. */
const stateDTypes: Readonly<Record<string, DType>> = { ...weightDTypes, U8: 'uint8' };

/** The name of a dtype in safetensors files. */
export const storedName = (dtype: DType) => Object.keys(stateDTypes).find((name) => stateDTypes[name] === dtype)!;
