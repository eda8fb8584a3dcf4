import { KeyValueCache } from './key-value-cache.js';

/**
 * The keys and values of the text that was last written by a model, for the next prompt that begins as it does: what
 * the two have in common is not computed again. A turn of a chat begins with all turns before it.
 */
export class PrefixCache implements Disposable {
  #cache: KeyValueCache | undefined;
  /** The tokens whose keys and values are there. */
  #ids: number[] = [];

  /** The cache for a prompt, and how many of its tokens are in it: never all, since the last one gives the logits. */
  begin(prompt: Int32Array): { cache: KeyValueCache; past: number } {
    const different = prompt.findIndex((id, i) => id !== this.#ids[i]);
    const past = Math.min(different === -1 ? prompt.length : different, prompt.length - 1);
    this.#ids = this.#ids.slice(0, past);
    if (this.#cache && past > 0) {
      this.#cache.truncate(past);
      return { cache: this.#cache, past };
    }
    this.#cache?.[Symbol.dispose]();
    this.#cache = new KeyValueCache([prompt.length]);
    return { cache: this.#cache, past: 0 };
  }

  /** Takes note of tokens that were computed since. */
  add(ids: Iterable<number>): void {
    for (const id of ids) this.#ids.push(id);
  }

  [Symbol.dispose](): void {
    this.#cache?.[Symbol.dispose]();
    this.#cache = undefined;
    this.#ids = [];
  }
}
