/** Sums of low-rank products: how far apart two are, and the nearest one of a rank that is given. */
// Shapes: L layers of one size, I inputs, O outputs, R rank, P the ranks of both together.
import { cat, linalgQr, linalgSvd, noGrad, stack, type Tensor, tidy } from '@reanchor/torch';
import { groupBy, sum } from '../stats/index.js';

/** scale B A, what an adapter adds to a matrix. */
export interface Product {
  a_RI: Tensor;
  b_OR: Tensor;
  scale: number;
}

/**
 * The squared Frobenius norm of s B A, or of its difference from another s' B' A', summed over layers. By Gram matrices
 * in float64, so that no matrix of a layer's size is made:
 *
 *     |[s B, -s' B'] [A; A']|^2 = sum of ([s B, -s' B']^T [s B, -s' B']) * ([A; A'] [A; A']^T)
 */
export function squaredNorm(products: readonly Product[], others?: readonly Product[]): number {
  if (products.length === 0) return 0;
  return tidy(() =>
    noGrad(() => {
      const squares = products.map((product, i) => squareOf(product, others?.[i]));
      return Math.max(0, stack(squares).sum().item());
    }),
  );
}

/** Of one layer, so that what is widened goes with it. */
function squareOf(product: Product, other: Product | undefined): Tensor {
  return tidy(() => {
    const both = other ? [product, { ...other, scale: -other.scale }] : [product];
    const b_OP = cat(
      both.map(({ b_OR, scale }) => b_OR.to('float64').mul(scale)),
      1,
    );
    const a_PI = cat(
      both.map(({ a_RI }) => a_RI.to('float64')),
      0,
    );
    return b_OP.t().matmul(b_OP).mul(a_PI.matmul(a_PI.t())).sum();
  });
}

/**
 * Moves products towards others of the same scale, in the space of the matrices, and keeps their rank:
 *
 *     B A <- best approximation of rank R of (1 - share) B A + share B' A'
 *
 * by QR of [(1 - share) B, share B'] and of [A; A']^T and the SVD of the small core between them. The square roots of
 * the singular values go to either factor. Returns the squared Frobenius norm of what was cut off, scale included.
 */
export function moveProducts_(products: readonly Product[], others: readonly Product[], share: number): number {
  const pairs = products.map((product, i) => ({ product, other: others[i]! }));
  const sizes = ({ a_RI, b_OR }: Product) => `${b_OR.shape} ${a_RI.shape}`;
  const groups = groupBy(pairs, ({ product, other }) => `${sizes(product)} ${sizes(other)}`);
  return sum([...groups.values()].map((alike) => tidy(() => noGrad(() => moveAlike_(alike, share)))));
}

/** {@link moveProducts_} of layers of one size, in calls of all of them. */
function moveAlike_(pairs: readonly { product: Product; other: Product }[], share: number): number {
  const rank = pairs[0]!.product.a_RI.shape[0]!;
  const [left_LOP, b_LPP] = stackedQr(pairs, ({ product, other }) =>
    cat([product.b_OR.mul(1 - share), other.b_OR.mul(share)], 1),
  );
  const [right_LIP, a_LPP] = stackedQr(pairs, ({ product, other }) => cat([product.a_RI, other.a_RI], 0).t());
  const [u_LPP, values_LP, v_LPP] = linalgSvd(b_LPP.matmul(a_LPP.transpose(1, 2)), false);
  const found = values_LP.shape[1]!;
  const kept = Math.min(rank, found);
  const roots_L1K = values_LP.narrow(1, 0, kept).sqrt().unsqueeze(1);
  const b_LOK = left_LOP.matmul(u_LPP.narrow(2, 0, kept).mul(roots_L1K));
  const a_LKI = v_LPP.narrow(1, 0, kept).mul(roots_L1K.transpose(1, 2)).matmul(right_LIP.transpose(1, 2));
  for (const [i, { product }] of pairs.entries()) {
    putInto_(product.b_OR, b_LOK.select(0, i));
    putInto_(product.a_RI, a_LKI.select(0, i));
  }
  if (kept === found) return 0;
  const rest_LP = values_LP
    .narrow(1, kept, found - kept)
    .to('float64')
    .square()
    .sum([1])
    .toList();
  return sum(rest_LP.map((square, i) => pairs[i]!.product.scale ** 2 * square));
}

/** QR of a matrix of each item, all of one size; the matrices themselves are given back. */
const stackedQr = <T>(items: readonly T[], matrixOf: (item: T) => Tensor) =>
  tidy(() => linalgQr(tidy(() => stack(items.map((item) => tidy(() => matrixOf(item)))))));

/**
 * Fills a tensor with another that is smaller in one dimension at most, and with zeros behind: a factor of a higher
 * rank with the same product.
 */
export function putInto_(target: Tensor, values: Tensor): void {
  const dimension = target.shape.findIndex((size, i) => size !== values.shape[i]);
  tidy(() => {
    if (dimension < 0) {
      target.copy_(values);
      return;
    }
    const [whole, filled] = [target.shape[dimension]!, values.shape[dimension]!];
    target.narrow(dimension, 0, filled).copy_(values);
    target.narrow(dimension, filled, whole - filled).zero_();
  });
}
