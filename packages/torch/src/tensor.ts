import { inspect } from 'node:util';
import { type Device, deviceCode, deviceName, isDevice } from './device.js';
import { arrayFor, type DType, dtypeCode, dtypeName, dtypeOf, isDType, type Scalar, type TypedArray } from './dtype.js';
import { native } from './native.js';
import { handles, make, numbers, setTensorClass } from './op.js';
import * as ops from './ops.gen.js';

/** Target of a conversion: a dtype, a device, or both. */
export interface ToOptions extends ops.Creation {
  nonBlocking?: boolean | undefined;
  copy?: boolean | undefined;
}

/**
 * A tensor of libtorch. Operators are methods named as in PyTorch, in camelCase; those that end in an underscore change
 * the tensor and return it. Using a tensor after its scope ended throws UseAfterDisposeError.
 */
export class Tensor extends ops.TensorMethods implements Disposable {
  get shape(): readonly number[] {
    const answer = this.info();
    const rank = answer[4] as number;
    const shape: number[] = [];
    for (let i = 0; i < rank; i++) shape.push(answer[5 + i] as number);
    return shape;
  }

  get dtype(): DType {
    return dtypeName(this.info()[0] as number);
  }

  get device(): Device {
    const answer = this.info();
    return deviceName(answer[1] as number, answer[2] as number);
  }

  /** Number of elements. */
  get numel(): number {
    return this.info()[3] as number;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.info()[4] as number;
  }

  /** Whether gradients flow to this tensor. Can be set on leaves only. */
  get requiresGrad(): boolean {
    return native().requiresGrad(this.handle);
  }

  set requiresGrad(value: boolean) {
    native().setRequiresGrad(this.handle, value);
  }

  /** The gradient that backward() added up, or null. The tensor returned belongs to the current scope. */
  get grad(): Tensor | null {
    const handle = native().getGrad(this.handle);
    return handle === 0 ? null : make(handle);
  }

  set grad(value: Tensor | null) {
    native().setGrad(this.handle, value?.handle);
  }

  /** The value of a tensor with one element; booleans as 0 and 1, int64 rounded to a double. */
  item(): number {
    return native().item(this.handle);
  }

  /**
   * A copy of the elements in row-major order. 16-bit floats come as Float32Array, bool as Uint8Array, int64 as
   * BigInt64Array.
   */
  data(): Exclude<TypedArray, Uint8ClampedArray> {
    const answer = this.info();
    const array = arrayFor(dtypeName(answer[0] as number), answer[3] as number);
    native().readInto(this.handle, array);
    return array;
  }

  /** The elements in row-major order as numbers. */
  toList(): number[] {
    return Array.from(this.data() as ArrayLike<number | bigint>, Number);
  }

  /** Adds d(this)/d(leaf) to the `.grad` of every leaf. `gradient` may be left out for a tensor with one element. */
  backward(gradient?: Tensor): void {
    native().backward(handles([this]), gradient === undefined ? undefined : handles([gradient]), false, false);
  }

  /** The tensor in another dtype or on another device; itself when nothing changes and no copy is asked for. */
  override to(target: DType | Device | ToOptions = {}, nonBlocking = false, copy = false): Tensor {
    if (typeof target === 'object') return super.to(target);
    if (isDType(target)) return super.to(target, nonBlocking, copy);
    if (isDevice(target)) return super.to({ device: target, nonBlocking, copy });
    return super.to(target);
  }

  private info(): Float64Array {
    const addon = native();
    addon.info(this.handle);
    return addon.buffer;
  }

  override toString(): string {
    if (this.isDisposed) return 'Tensor(disposed)';
    const place = this.device === 'cpu' ? '' : ` on ${this.device}`;
    return `Tensor(${this.dtype}[${this.shape.join(', ')}]${place})`;
  }

  [inspect.custom](): string {
    if (this.isDisposed || this.device === 'meta') return this.toString();
    const count = this.numel;
    const flat = this.reshape([count]);
    const head = flat.narrow(0, 0, Math.min(count, 8));
    const values = head.toList().map((value) => Number(value.toPrecision(6)));
    head.dispose();
    flat.dispose();
    return `${this.toString().slice(0, -1)}, [${values.join(', ')}${count > 8 ? ', ...' : ''}])`;
  }
}

setTensorClass(Tensor);

/** What {@link tensor} may be told. */
export interface FromDataOptions extends ops.Creation {
  /** Default: one dimension. */
  shape?: readonly number[];
  requiresGrad?: boolean;
}

/**
 * A tensor with a copy of the data. A typed array decides the dtype unless one is given; an array of numbers becomes
 * float32.
 */
export function tensor(data: TypedArray | readonly number[], options: FromDataOptions = {}): Tensor {
  const array = Array.isArray(data) ? Float64Array.from(data as readonly number[]) : (data as TypedArray);
  const dtype = options.dtype ?? (array === data ? dtypeOf(array) : 'float32');
  const shape = numbers(options.shape ?? [array.length]);
  const result = make(
    native().fromTypedArray(array, shape, dtypeCode(dtype) as number, deviceCode(options.device ?? 'cpu') as number),
  );
  if (options.requiresGrad) result.requiresGrad = true;
  return result;
}

/** A tensor filled with one value; float32 unless a dtype is given (libtorch would infer int64 from an integer). */
export function full(size: readonly number[], value: Scalar, options: ops.Creation = {}): Tensor {
  return ops.full(size, value, { ...options, dtype: options.dtype ?? 'float32' });
}
