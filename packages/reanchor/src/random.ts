/** Seeded random order. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/**
 * The integers 0 ... n - 1 in a random order (Fisher-Yates over xoroshiro128+) that the key decides, a list of integers
 * such as (seed, epoch). Different keys give unrelated orders.
 */
export function shuffled(n: number, ...key: readonly number[]): number[] {
  const generator = xoroshiro128plus(mix(key));
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = uniformInt(generator, 0, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** One 32-bit integer from several of up to 53 bits, by the finaliser of MurmurHash3 after each half. */
function mix(key: readonly number[]): number {
  let hash = key.length;
  for (const part of key) {
    for (const half of [part >>> 0, Math.floor(part / 2 ** 32)]) {
      hash = (Math.imul(hash, 0x9e3779b1) + half) | 0;
      hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
      hash ^= hash >>> 16;
    }
  }
  return hash;
}

/** A stream of numbers in [0, 1) with 32 random bits each, which the key decides as in {@link shuffled}. */
export function uniforms(...key: readonly number[]): () => number {
  const generator = xoroshiro128plus(mix(key));
  return () => uniformInt(generator, 0, 0xffffffff) / 2 ** 32;
}
