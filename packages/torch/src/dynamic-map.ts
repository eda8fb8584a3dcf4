/**
 * bitsandbytes' dynamic type of 8 bits (Dettmers et al. 2022, arXiv 2110.02861), 256 values ascending to 1, in float32:
 * 0, 1 and, for e from -6 to 0, 10^e times the means of neighbours among even steps from 0.1 to 1. Signed, there are
 * 2^(e + 6) of them, with both signs; unsigned, twice as many.
 */
export function dynamicMap({ isSigned }: { isSigned: boolean }): Float32Array {
  const [low, round] = [Math.fround(0.1), Math.fround];
  const values = [0, 1];
  for (let exponent = -6; exponent <= 0; exponent++) {
    const count = 2 ** (exponent + (isSigned ? 6 : 7));
    const step = round(round(1 - low) / count);
    // Counted from the nearer end, as torch.linspace does.
    const edge = (k: number) => round(2 * k < count ? low + step * k : 1 - step * (count - k));
    for (let k = 0; k < count; k++) {
      const value = round(round(10 ** exponent) * round(round(edge(k) + edge(k + 1)) / 2));
      values.push(value, ...(isSigned ? [-value] : []));
    }
  }
  return Float32Array.from(values).sort();
}
