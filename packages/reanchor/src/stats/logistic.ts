/** Logistic regression with an L1 penalty and no intercept, to the exact optimum. */

export interface L1LogisticProblem {
  /** One row of features x_i per observation. */
  features: readonly (readonly number[])[];
  /** Weight s_i of each observation; 1 when left out. */
  weights?: ArrayLike<number> | undefined;
  /**
   * b_j = sum_i s_i y_i x_ij, all that the loss needs of the targets y in [0, 1]; {@link targetMoments} makes it of
   * them.
   */
  moments: readonly number[];
  /** The loss's weight against the penalty, C > 0. */
  C: number;
}

/** The coefficients of a penalised logistic regression, and how exact they are. */
export interface L1LogisticFit {
  coefficients: number[];
  /** The largest violation of the conditions of the optimum, relative to the sizes of the terms that cancel in them. */
  residual: number;
}

/**
 * The w that minimises |w|_1 + C (sum_i s_i log(1 + exp(x_i w)) - b w), the L1-penalised log-loss, by proximal Newton
 * steps: the smooth part is replaced by its quadratic model, whose penalised minimum coordinate descent finds. Unlike
 * liblinear, which stops at a relative tolerance, it goes on until rounding ends it. Errors: RangeError for a problem
 * without finite numbers or without an optimum. Sources: Lee, Sun and Saunders 2014 (the steps); Friedman, Hastie and
 * Tibshirani 2010 (the descent).
 */
export function fitL1Logistic({ features, weights, moments, C }: L1LogisticProblem): L1LogisticFit {
  const k = moments.length;
  if (!(C > 0 && Number.isFinite(C))) throw new RangeError(`C is ${C}; a number above 0 is allowed`);
  if (![...moments, ...features.flat()].every(Number.isFinite) || features.some((row) => row.length !== k)) {
    throw new RangeError(`features have to be finite numbers, ${k} a row as there are moments`);
  }
  const smooth = smoothPart(features, weights, moments, C);
  const coefficients = new Array<number>(k).fill(0);
  let { value, gradient, hessian } = smooth.at(coefficients);
  for (let iteration = 0; iteration < 200; iteration++) {
    const target = penalisedQuadraticMinimum(coefficients, gradient, hessian);
    const step = target.map((t, j) => t - coefficients[j]!);
    const expected = dot(gradient, step) + norm1(target) - norm1(coefficients);
    const before = value + norm1(coefficients);
    // Where the gain is below the rounding of the objective, the objective cannot judge the step; Newton's is right.
    const canJudge = -expected > 1e-11 * (1 + Math.abs(before));
    let share = 1;
    let next = target;
    let found = smooth.at(next);
    while (canJudge && !(found.value + norm1(next) <= before + 1e-4 * share * expected) && share > 1e-10) {
      share /= 2;
      next = coefficients.map((w, j) => w + share * step[j]!);
      found = smooth.at(next);
    }
    for (let j = 0; j < k; j++) coefficients[j] = next[j]!;
    ({ value, gradient, hessian } = found);
    // The error after a step is of the order of the step's square.
    if (step.every((d, j) => Math.abs(d) <= 1e-11 * (1 + Math.abs(coefficients[j]!)))) break;
  }
  const residual = Math.max(0, ...coefficients.map((w, j) => violation(w, gradient[j]!) / smooth.scale[j]!));
  if (!(residual < 1e-9)) throw new RangeError(`no optimum was found: its conditions are missed by ${residual}`);
  return { coefficients, residual };
}

/** b_j = sum_i s_i y_i x_ij. */
export function targetMoments(
  features: readonly (readonly number[])[],
  targets: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number[] {
  const moments = new Array<number>(features[0]?.length ?? 0).fill(0);
  for (const [i, row] of features.entries()) {
    for (const [j, x] of row.entries()) moments[j] = moments[j]! + (weights?.[i] ?? 1) * targets[i]! * x;
  }
  return moments;
}

/** The logistic function 1 / (1 + exp(-z)). */
export const sigmoid = (z: number) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));

/** log(1 + exp(z)), without overflow. */
export const softplus = (z: number) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

interface Quadratic {
  value: number;
  gradient: number[];
  /** k x k, row after row. */
  hessian: Float64Array;
}

function smoothPart(
  features: readonly (readonly number[])[],
  weights: ArrayLike<number> | undefined,
  moments: readonly number[],
  C: number,
): { at: (w: readonly number[]) => Quadratic; scale: number[] } {
  const k = moments.length;
  const at = (w: readonly number[]): Quadratic => {
    let value = -dot(moments, w);
    const gradient = moments.map((b) => -b);
    const hessian = new Float64Array(k * k);
    for (let i = 0; i < features.length; i++) {
      const row = features[i]!;
      const s = weights?.[i] ?? 1;
      const z = dot(row, w);
      const p = sigmoid(z);
      value += s * softplus(z);
      for (let j = 0; j < k; j++) {
        gradient[j] = gradient[j]! + s * p * row[j]!;
        for (let l = 0; l < k; l++) hessian[j * k + l] = hessian[j * k + l]! + s * p * (1 - p) * row[j]! * row[l]!;
      }
    }
    return { value: C * value, gradient: gradient.map((g) => C * g), hessian: hessian.map((h) => C * h) };
  };
  const size = (j: number) => features.reduce((sum, row, i) => sum + (weights?.[i] ?? 1) * Math.abs(row[j]!), 0);
  return { at, scale: moments.map((b, j) => 1 + C * (size(j) + Math.abs(b))) };
}

/** The v that minimises g (v - w) + (v - w) H (v - w) / 2 + |v|_1. */
function penalisedQuadraticMinimum(w: readonly number[], gradient: readonly number[], hessian: Float64Array): number[] {
  const k = w.length;
  const v = [...w];
  for (let sweep = 0; sweep < 10_000; sweep++) {
    let largest = 0;
    for (let j = 0; j < k; j++) {
      let slope = gradient[j]!;
      for (let l = 0; l < k; l++) slope += hessian[j * k + l]! * (v[l]! - w[l]!);
      // A column of zeros has no curvature; the penalty alone then decides.
      const curvature = Math.max(hessian[j * k + j]!, 1e-12);
      const moved = softThreshold(v[j]! - slope / curvature, 1 / curvature);
      largest = Math.max(largest, Math.abs(moved - v[j]!) / (1 + Math.abs(moved)));
      v[j] = moved;
    }
    if (largest <= 1e-16) break;
  }
  return v;
}

// + 0: a coefficient that is left out is 0, not -0.
const softThreshold = (x: number, by: number) => Math.sign(x) * Math.max(0, Math.abs(x) - by) + 0;

/** How far 0 is from the subdifferential g + d|w|. */
const violation = (w: number, g: number) => (w === 0 ? Math.max(0, Math.abs(g) - 1) : Math.abs(g + Math.sign(w)));

const norm1 = (v: readonly number[]) => v.reduce((sum, x) => sum + Math.abs(x), 0);

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
