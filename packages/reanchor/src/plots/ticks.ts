/**
 * Round numbers, equally spaced, the first at or below `low` and the last at or above `high`: about `count` of them, in
 * steps of 1, 2 or 5 times a power of ten.
 */
export function ticks(low: number, high: number, count: number): number[] {
  const range = high > low ? high - low : Math.abs(low) || 1;
  const rough = range / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * (1 - 1e-9))!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  // Multiples, not sums: no rounding piles up.
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
