import type { Tensor } from '../index.js';

/** |actual - exact| / |exact| in float64, by the norms of all elements. */
export function relativeError(actual: Tensor, exact: Tensor): number {
  const wide = exact.to('float64');
  const norm = (x: Tensor) => Math.sqrt(x.mul(x).sum().item());
  return norm(actual.to('float64').sub(wide)) / norm(wide);
}
