/**
 * How a call reaches the addon. A tensor is a number there (its handle); lists are written to a buffer that both sides
 * share and are then numbers too, because N-API reads a JavaScript array one element at a time.
 */
import type { TensorBase } from './base.js';
import { type NativeOp, native } from './native.js';
import type { Tensor } from './tensor.js';

/** List arguments in the form that the addon takes. */
export type NativeList = number | Float64Array | undefined;

const LIST_BASE = 2 ** 46;
const LIST_SPAN = 8192;
const FIRST = 128; // the part before is where the addon answers
const LAST = 4096;
// A call has few lists, so lists up to this length never overwrite each other while one call is prepared.
const LONGEST = 256;

let buffer: Float64Array = new Float64Array(0);
let position = FIRST;

function place(length: number): number {
  if (buffer.length === 0) buffer = native().buffer;
  if (position + length > LAST) position = FIRST;
  const start = position;
  position += length;
  return start;
}

/** Integers or floats for the addon; a single number stays one. */
export function numbers(list: readonly number[] | number | null | undefined): NativeList {
  if (typeof list === 'number') return list;
  if (list === undefined || list === null) return undefined;
  const length = list.length;
  if (length > LONGEST) return Float64Array.from(list);
  const start = place(length);
  for (let i = 0; i < length; i++) buffer[start + i] = list[i] as number;
  return LIST_BASE + start * LIST_SPAN + length;
}

/** Handles of tensors for the addon; null stands for "no tensor". */
export function handles(list: readonly (TensorBase | null)[]): NativeList {
  const length = list.length;
  if (length > LONGEST) return Float64Array.from(list, (tensor) => (tensor === null ? 0 : tensor.handle));
  const start = place(length);
  for (let i = 0; i < length; i++) {
    const tensor = list[i] as TensorBase | null;
    // A disposed tensor has handle 0, which the addon would take for "no tensor"; -1 is never alive.
    buffer[start + i] = tensor === null ? 0 : tensor.handle || -1;
  }
  return LIST_BASE + start * LIST_SPAN + length;
}

/** An operator that is looked up in libtorch when it is first called. */
export class LazyOp {
  call: NativeOp;

  constructor(
    readonly name: string,
    readonly overload: string,
  ) {
    this.call = (...args) => {
      this.call = native().resolve(name, overload);
      return this.call(...args);
    };
  }
}

let construct: new (handle: number) => Tensor;

/** tensor.ts hands its class over here, so that generated code need not import it. */
export function setTensorClass(tensorClass: new (handle: number) => Tensor): void {
  construct = tensorClass;
}

/** The tensor of a handle that the addon returned. */
export const make = (handle: unknown): Tensor => new construct(handle as number);

export function makeAll(list: unknown): Tensor[] {
  const result: Tensor[] = [];
  for (const handle of list as number[]) result.push(new construct(handle));
  return result;
}
