/** The set of most probable tokens that make up a share, and draws from it. */

/** How many of the weights, largest first, it takes to reach `share`; one at least. */
export function nucleusSize(sorted: ArrayLike<number>, share: number): number {
  let sum = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (sum >= share && i > 0) return i;
    sum += sorted[i]!;
  }
  return sorted.length;
}

/** The place among the first `count` weights at which their cumulative sum passes a share `u` of their total. */
export function inverse(weights: ArrayLike<number>, u: number, count = weights.length): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[i]!;
  let sum = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i]! <= 0) continue;
    sum += weights[i]!;
    last = i;
    if (sum > u * total) break;
  }
  return last;
}

/**
 * Draws from the nucleus of weights in any order, without sorting them: those above a threshold, and as many at it as
 * it takes, the first first. Returns the place.
 */
export function drawFromNucleus(weights: Float32Array | Float64Array, share: number, u: number): number {
  const { threshold, ties } = thresholdOf(weights.slice(), share);
  let left = ties;
  const kept = weights.slice();
  for (let i = 0; i < kept.length; i++) {
    if (kept[i]! > threshold) continue;
    if (kept[i] === threshold && left > 0) left--;
    else kept[i] = 0;
  }
  return inverse(kept, u);
}

/**
 * The smallest weight of the nucleus, and how many of that weight belong to it. Each round splits the weights at one of
 * them and goes on in the part where the sum of the larger ones reaches the share. Changes the order of `weights`.
 */
function thresholdOf(weights: Float32Array | Float64Array, share: number): { threshold: number; ties: number } {
  let [low, high, above] = [0, weights.length, 0];
  while (low < high) {
    const pivot = middle(weights[low]!, weights[(low + high) >> 1]!, weights[high - 1]!);
    // [low, larger) is above the pivot, [larger, i) at it, [smaller, high) below.
    let [larger, i, smaller, sum] = [low, low, high, above];
    while (i < smaller) {
      const weight = weights[i]!;
      if (weight > pivot) {
        sum += weight;
        weights[i++] = weights[larger]!;
        weights[larger++] = weight;
      } else if (weight < pivot) {
        weights[i] = weights[--smaller]!;
        weights[smaller] = weight;
      } else i++;
    }
    if (sum >= share && larger > low) {
      high = larger;
      continue;
    }
    const ties = Math.max(1, Math.ceil((share - sum) / pivot));
    if (ties <= smaller - larger) return { threshold: pivot, ties };
    above = sum + pivot * (smaller - larger);
    low = smaller;
  }
  return { threshold: 0, ties: 0 };
}

const middle = (a: number, b: number, c: number) => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
