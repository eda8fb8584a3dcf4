/** The factors beside a linear layer: y = W x + b + scale B A x, or DoRA's with a magnitude for each output. */
export interface LowRankShape {
  /** The rows of A, and the columns of B. */
  r: number;
  /** alpha / r, or alpha / sqrt(r) of rank-stabilised adapters. */
  scale: number;
  alpha: number;
  isDora: boolean;
  /** Whether B has a bias, which is scaled as its product is. */
  hasBias: boolean;
}

/** What B A x is multiplied by; `rslora` is rank-stabilised (Kalajdzievski 2023, arXiv 2312.03732). */
export const scaleOf = ({ alpha, r, rslora }: { alpha: number; r: number; rslora: boolean }): number =>
  alpha / (rslora ? Math.sqrt(r) : r);
