/** Solving small symmetric systems. */

/**
 * The x of A x = b for a symmetric positive definite A (n x n, row after row; its lower half is read and overwritten),
 * by Cholesky's decomposition; undefined where A is not positive definite to rounding.
 */
export function solvePositive(a: Float64Array, b: ArrayLike<number>): Float64Array | undefined {
  const n = b.length;
  const at = (i: number, j: number) => a[i * n + j]!;
  for (let j = 0; j < n; j++) {
    const diagonal = at(j, j);
    let pivot = diagonal;
    for (let k = 0; k < j; k++) pivot -= at(j, k) ** 2;
    if (!(pivot > 1e-14 * diagonal)) return undefined;
    const root = Math.sqrt(pivot);
    a[j * n + j] = root;
    for (let i = j + 1; i < n; i++) {
      let sum = at(i, j);
      for (let k = 0; k < j; k++) sum -= at(i, k) * at(j, k);
      a[i * n + j] = sum / root;
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] = x[i]! - at(i, k) * x[k]!;
    x[i] = x[i]! / at(i, i);
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] = x[i]! - at(k, i) * x[k]!;
    x[i] = x[i]! / at(i, i);
  }
  return x;
}
