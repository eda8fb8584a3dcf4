/** Some of many items, evenly among them: every first, second, fourth, ... of all that came, and the newest. */
export class Thinned<T> {
  #kept: { at: number; item: T }[] = [];
  #every = 1;
  #count = 0;

  /** At most `most` items are kept. */
  constructor(readonly most: number) {}

  get items(): T[] {
    return this.#kept.map(({ item }) => item);
  }

  push(item: T): void {
    this.#keep(({ at }) => at % this.#every === 0);
    this.#kept.push({ at: this.#count++, item });
    while (this.#kept.length > this.most) {
      this.#every *= 2;
      this.#keep(({ at }) => at % this.#every === 0 || at === this.#count - 1);
    }
  }

  #keep(isKept: (kept: { at: number }) => boolean): void {
    this.#kept = this.#kept.filter(isKept);
  }
}
