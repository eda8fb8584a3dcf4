import { TensorBase } from './base.js';
import { native } from './native.js';
import { handles, LazyOp, make, makeAll, numbers } from './op.js';

/** An argument of an operator called by name: null and undefined stand for the schema's default. */
export type OpArgument =
  | TensorBase
  | readonly (TensorBase | null)[]
  | readonly number[]
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined;

/** Which return values are tensors, read from the schema: 't' a tensor, 'l' a list of them, '-' anything else. */
function returnKinds(schema: string): string[] {
  const returned = schema.slice(schema.lastIndexOf(' -> ') + 4).replace(/^\((.*)\)$/, '$1');
  return returned
    .split(/,\s*/)
    .map((text) => (/^Tensor(\([^)]*\))?\[\]/.test(text) ? 'l' : text.startsWith('Tensor') ? 't' : '-'));
}

/**
 * Any operator that libtorch registers, by name: `op('aten::clamp', 'Tensor')(x, low, high)`. Arguments stand in the
 * schema's order, keyword-only ones included; dtypes as libtorch's codes. Returns a tensor, a list, a number, a string,
 * or an array of these where there are several results. An operator that changes an argument returns that very tensor.
 */
export function op(name: string, overload = ''): (...args: OpArgument[]) => unknown {
  const lazy = new LazyOp(name, overload);
  let kinds: string[] | undefined;
  return (...args) => {
    const passed = args.map((arg) => {
      if (arg instanceof TensorBase) return arg.handle;
      if (!Array.isArray(arg)) return arg;
      const tensors = arg.length > 0 && arg.every((item) => item === null || item instanceof TensorBase);
      return tensors ? handles(arg) : numbers(arg as readonly number[]);
    });
    const result = lazy.call(...passed);
    kinds ??= returnKinds(native().schema(name, overload) ?? '');
    const wrap = (value: unknown, kind: string | undefined): unknown => {
      if (kind === 'l') return makeAll(value);
      if (kind !== 't') return value;
      const own = args.find((arg) => arg instanceof TensorBase && arg.handle === value);
      return own ?? (value === 0 ? null : make(value));
    };
    if (kinds.length === 1) return wrap(result, kinds[0]);
    return (result as unknown[]).map((value, i) => wrap(value, kinds?.[i]));
  };
}
