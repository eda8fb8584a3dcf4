/** Element types of tensors, under the names that JavaScript sees. */
export type DType =
  | 'float32'
  | 'float64'
  | 'bfloat16'
  | 'float16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool';

/** A number for an operator: integers travel as int64, all else as float64; a bigint is always int64. */
export type Scalar = number | bigint | boolean;

/** The typed arrays that a tensor is made from, and read into. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;

type ArrayClass = new (length: number) => Exclude<TypedArray, Uint8ClampedArray>;

interface DTypeInfo {
  /** c10::ScalarType */
  readonly code: number;
  readonly bytes: number;
  /** What data() returns: 16-bit floats have no typed array of their own and come as float32. */
  readonly array: ArrayClass;
}

const INFO: Readonly<Record<DType, DTypeInfo>> = {
  float32: { code: 6, bytes: 4, array: Float32Array },
  float64: { code: 7, bytes: 8, array: Float64Array },
  bfloat16: { code: 15, bytes: 2, array: Float32Array },
  float16: { code: 5, bytes: 2, array: Float32Array },
  int64: { code: 4, bytes: 8, array: BigInt64Array },
  int32: { code: 3, bytes: 4, array: Int32Array },
  int16: { code: 2, bytes: 2, array: Int16Array },
  int8: { code: 1, bytes: 1, array: Int8Array },
  uint8: { code: 0, bytes: 1, array: Uint8Array },
  bool: { code: 11, bytes: 1, array: Uint8Array },
};

/** The names of all dtypes. */
export const DTYPES = Object.keys(INFO) as readonly DType[];

const NAMES = new Map(DTYPES.map((name) => [INFO[name].code, name]));

/** libtorch's code of a dtype, undefined for none given. Throws for an unknown name. */
export function dtypeCode(dtype: DType | null | undefined): number | undefined {
  if (dtype === undefined || dtype === null) return undefined;
  const info = INFO[dtype];
  if (info === undefined) throw new TypeError(`unknown dtype '${String(dtype)}'; known are ${DTYPES.join(', ')}`);
  return info.code;
}

export function dtypeName(code: number): DType {
  const name = NAMES.get(code);
  if (name === undefined) throw new TypeError(`this tensor has libtorch's scalar type ${code}, which has no name here`);
  return name;
}

/** Whether a text is the name of a dtype. */
export const isDType = (name: string): name is DType => Object.hasOwn(INFO, name);

/** Bytes that one element takes in a tensor. */
export const dtypeBytes = (dtype: DType): number => INFO[dtype].bytes;

export const arrayFor = (dtype: DType, length: number): Exclude<TypedArray, Uint8ClampedArray> =>
  new INFO[dtype].array(length);

/** The dtype of a tensor made from this typed array. */
export function dtypeOf(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Float64Array) return 'float64';
  if (array instanceof BigInt64Array) return 'int64';
  if (array instanceof Int32Array) return 'int32';
  if (array instanceof Int16Array) return 'int16';
  if (array instanceof Int8Array) return 'int8';
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return 'uint8';
  throw new TypeError('tensor data must be an array of numbers, a Float, Int, Uint8 or BigInt64 typed array');
}
