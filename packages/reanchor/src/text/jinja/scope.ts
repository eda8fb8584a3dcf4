/** The variables of a body, and through it those of the bodies around it. */
import type { Value } from './python/values.js';

/** Stands where a name is hidden until it is set. */
const unset = Symbol('unset');

export class Scope {
  readonly #values = new Map<string, Value | typeof unset>();

  constructor(
    private readonly outer: Scope | undefined,
    private readonly hidden: readonly string[] = [],
  ) {
    for (const name of hidden) this.#values.set(name, unset);
  }

  /** The value of a name, or undefined. */
  get(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.outer) {
      const value = scope.#values.get(name);
      if (value !== undefined) return value === unset ? undefined : value;
    }
    return undefined;
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }

  /** Forgets what was set, for the next round of a loop. */
  clear(): void {
    this.#values.clear();
    for (const name of this.hidden) this.#values.set(name, unset);
  }
}
