/**
 * Who frees a tensor. Every tensor belongs to the innermost scope that was open when it was made, and is freed when
 * that scope ends; tensors made outside every scope belong to the caller. Garbage collection cannot do this work: its
 * callbacks do not run inside a synchronous loop, and it sees a few bytes where there are megabytes.
 */
import { currentOwner, eachTensor, moveTo, Owner, setOwner } from './base.js';
import { native } from './native.js';

const isPromise = (value: unknown): boolean =>
  value instanceof Promise ||
  (typeof (value as { then?: unknown } | null)?.then === 'function' && typeof value === 'object');

/**
 * Runs `fn` in a scope of its own and returns its result. Tensors in the result (a tensor, or tensors in arrays, plain
 * objects, Maps and Sets) pass to the surrounding scope; all others made inside are freed. `fn` must be synchronous.
 */
export function tidy<T>(fn: () => T): T {
  const outer = currentOwner();
  const mine = new Owner(outer);
  setOwner(mine);
  let result: T;
  try {
    result = fn();
  } catch (error) {
    setOwner(outer);
    mine.disposeAll();
    throw error;
  }
  setOwner(outer);
  if (isPromise(result)) {
    mine.disposeAll();
    throw new TypeError('tidy() needs a synchronous function: tensors of other code would fall into its scope');
  }
  eachTensor(result, (tensor) => {
    if (tensor.owner === mine) moveTo(tensor, outer);
  });
  mine.disposeAll();
  return result;
}

/** The innermost of these scopes that has not ended. */
function openOwner(owner: Owner | null): Owner | null {
  while (owner !== null && !owner.open) owner = owner.outer;
  return owner;
}

/** A scope with a block's lifetime: `using s = scope()`. Scopes must end in the reverse order of their beginning. */
export class Scope implements Disposable {
  private readonly mine = new Owner(currentOwner());

  constructor() {
    setOwner(this.mine);
  }

  /** Hands the tensors in `value` to the surrounding scope and returns `value`. */
  keep<T>(value: T): T {
    eachTensor(value, (tensor) => {
      if (tensor.owner === this.mine) moveTo(tensor, openOwner(this.mine.outer));
    });
    return value;
  }

  [Symbol.dispose](): void {
    if (!this.mine.open) return;
    const inOrder = currentOwner() === this.mine;
    if (inOrder) setOwner(openOwner(this.mine.outer));
    this.mine.disposeAll();
    if (!inOrder) throw new Error('scopes must end in the reverse order of their beginning');
  }
}

/** A new scope, to be held by `using`: the tensors made while it is the innermost end with it. */
export const scope = (): Scope => new Scope();

/**
 * Takes the tensors in `value` out of every scope: the caller owns them and frees them with dispose(). Returns `value`.
 */
export function keep<T>(value: T): T {
  eachTensor(value, (tensor) => moveTo(tensor, null));
  return value;
}

/** True inside some scope. */
export const inScope = (): boolean => currentOwner() !== null;

/** Runs `fn` without recording operations for backward(). `fn` must be synchronous. */
export const noGrad = <T>(fn: () => T): T => withGradMode(false, fn);

/** Runs `fn` with recording switched on again, inside a noGrad(). */
export const enableGrad = <T>(fn: () => T): T => withGradMode(true, fn);

function withGradMode<T>(enabled: boolean, fn: () => T): T {
  const addon = native();
  const before = addon.setGradEnabled(enabled);
  let result: T;
  try {
    result = fn();
  } finally {
    addon.setGradEnabled(before);
  }
  if (isPromise(result)) {
    throw new TypeError('noGrad() needs a synchronous function: the mode would leak into other code');
  }
  return result;
}

/** Whether operations are recorded for backward() on this thread. */
export const isGradEnabled = (): boolean => native().isGradEnabled();
