/** The part of a tensor that scopes and the addon's calls need: its handle, and who will free it. */
import { native } from './native.js';

/**
 * Tensors that will be freed together. Compacted now and then, so that a long-lived scope does not hoard dead entries.
 */
export class Owner {
  tensors: TensorBase[] = [];
  open = true;
  private limit = 4096;

  add(tensor: TensorBase): void {
    if (this.tensors.push(tensor) > this.limit) {
      this.tensors = this.tensors.filter((t) => t.handle !== 0 && t.owner === this);
      this.limit = Math.max(4096, 2 * this.tensors.length);
    }
  }

  constructor(readonly outer: Owner | null) {}

  /** Frees every tensor that still belongs here, in one native call. */
  disposeAll(): void {
    this.open = false;
    const tensors = this.tensors;
    this.tensors = [];
    const list = new Float64Array(tensors.length);
    let count = 0;
    for (const tensor of tensors) {
      if (tensor.owner !== this || tensor.handle === 0) continue;
      list[count++] = tensor.handle;
      tensor.handle = 0;
    }
    if (count > 0) native().disposeMany(list, count);
  }
}

let current: Owner | null = null;

export const currentOwner = (): Owner | null => current;

/** Makes `owner` the one that new tensors belong to; returns the one before. */
export function setOwner(owner: Owner | null): Owner | null {
  const before = current;
  current = owner;
  return before;
}

// Only for tensors outside every scope. Its callbacks need turns of the event loop, so it is a safety net and no more.
const registry = new FinalizationRegistry<number>((handle) => native().dispose(handle));

export abstract class TensorBase {
  /** Number of the tensor in the addon's table; 0 after dispose(). */
  handle: number;
  /** Scope that will free it; null when the caller does. */
  owner: Owner | null;

  constructor(handle: number) {
    this.handle = handle;
    this.owner = current;
    if (current !== null) current.add(this);
    else watch(this);
  }

  get isDisposed(): boolean {
    return this.handle === 0;
  }

  /** Frees the tensor now. Disposing twice is harmless. */
  dispose(): void {
    if (this.handle === 0) return;
    native().dispose(this.handle);
    this.handle = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function watch(tensor: TensorBase): void {
  registry.register(tensor, tensor.handle);
  native().track(tensor.handle);
}

/** Gives a tensor to another owner, or to nobody (the caller, with the garbage collector behind). */
export function moveTo(tensor: TensorBase, owner: Owner | null): void {
  if (tensor.owner === owner || tensor.handle === 0) return;
  tensor.owner = owner;
  if (owner !== null) owner.add(tensor);
  else watch(tensor);
}

/** Calls `visit` for every tensor in a tensor, array, plain object, Map or Set, at any depth. */
export function eachTensor(value: unknown, visit: (tensor: TensorBase) => void): void {
  if (value instanceof TensorBase) visit(value);
  else if (typeof value === 'object' && value !== null) walk(value, visit, new Set());
}

function walk(value: unknown, visit: (tensor: TensorBase) => void, seen: Set<object>): void {
  if (value instanceof TensorBase) {
    visit(value);
    return;
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
  seen.add(value);
  if (Array.isArray(value) || value instanceof Set) {
    for (const element of value) walk(element, visit, seen);
  } else if (value instanceof Map) {
    for (const element of value.values()) walk(element, visit, seen);
  } else {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return;
    for (const element of Object.values(value)) walk(element, visit, seen);
  }
}
