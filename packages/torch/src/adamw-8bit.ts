import type { Device } from './device.js';
import { dynamicMap } from './dynamic-map.js';
import { LazyOp } from './op.js';
import { arange, searchsorted, zeros } from './ops.gen.js';
import { noGrad, tidy } from './scope.js';
import { type Tensor, tensor } from './tensor.js';

const stepOp = new LazyOp('reanchor::adamw_8bit_', '');

/** Elements that share an absmax. */
export const adamw8bitBlock = 256;

/** Elements that plain operators take at once: what they write in between is ten times as large. */
const piece = 1 << 22;

/** A moment in 8 bits: `codes` uint8, one for each element, and `absmax` float32, one for each block of 256. */
export interface Moment8bit {
  codes: Tensor;
  absmax: Tensor;
}

export interface AdamW8bitOptions {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** From 1. */
  step: number;
  /** By which numbers between two values of the map go to one of them. */
  seed: number;
}

/** The values that means, and roots, are kept as. */
const values = { signed: dynamicMap({ isSigned: true }), unsigned: dynamicMap({ isSigned: false }) };

/** The same as tensors, in the scope of the caller. */
const mapsOn = (device: Device) => ({
  signed: tensor(values.signed, { device }),
  unsigned: tensor(values.unsigned, { device }),
});

/**
 * A step of AdamW on one parameter whose moments are kept in 8 bits: the mean of gradients, and the root of the mean of
 * their squares, each as shares of the largest in its block, in the values of bitsandbytes' dynamic map; rounded up or
 * down at random by seed, step and element. For float32 and bfloat16; on the CPU one pass over memory, elsewhere by
 * plain operators.
 *
 * @throws TorchError for other dtypes, and for a state of other sizes
 */
export function adamw8bit_(
  parameter: Tensor,
  gradient: Tensor,
  state: { mean: Moment8bit; root: Moment8bit },
  options: AdamW8bitOptions,
): void {
  if (parameter.device !== 'cpu') {
    adamw8bitComposed_(parameter, gradient, state, options);
    return;
  }
  const { mean, root } = state;
  const { lr, beta1, beta2, eps, weightDecay, step, seed } = options;
  const rates = [lr, beta1, beta2, eps, weightDecay, step, seed] as const;
  noGrad(() =>
    tidy(() => {
      const { signed, unsigned } = mapsOn('cpu');
      const state = [mean.codes, mean.absmax, root.codes, root.absmax, signed, unsigned];
      stepOp.call(parameter.handle, gradient.handle, ...state.map(({ handle }) => handle), ...rates);
    }),
  );
}

/** The same by plain operators, on any device. */
export function adamw8bitComposed_(
  parameter: Tensor,
  gradient: Tensor,
  { mean, root }: { mean: Moment8bit; root: Moment8bit },
  { lr, beta1, beta2, eps, weightDecay, step, seed }: AdamW8bitOptions,
): void {
  const n = parameter.numel;
  const key = mixNumber(seed ^ mixNumber(step));
  const stepSize = lr / (1 - beta1 ** step);
  const correction = 1 / Math.sqrt(1 - beta2 ** step);
  for (let first = 0; first < n; first += piece) {
    const count = Math.min(piece, n - first);
    noGrad(() =>
      tidy(() => {
        const maps = mapsOn(parameter.device);
        const part = (whole: Tensor) => whole.view([-1]).narrow(0, first, count);
        const moments = [mean, root].map((moment) => partOf(moment, first, count)) as [Moment8bit, Moment8bit];
        const g = part(gradient).to('float32');
        const means = valuesOf(moments[0], maps.signed);
        means.add_(g.sub(means).mul(1 - beta1));
        const roots = valuesOf(moments[1], maps.unsigned);
        roots.copy_(
          roots
            .mul(beta2)
            .mul(roots)
            .add(g.mul(1 - beta2).mul(g))
            .sqrt(),
        );
        const to = part(parameter);
        const moved = to
          .to('float32')
          .mul(1 - lr * weightDecay)
          .sub(means.mul(stepSize).div(roots.mul(correction).add(eps)));
        to.copy_(moved);
        keepMoment(moments[0], means, maps.signed, chances(key, first, count, parameter.device));
        keepMoment(moments[1], roots, maps.unsigned, chances(mixNumber(key + 1), first, count, parameter.device));
      }),
    );
  }
}

function partOf({ codes, absmax }: Moment8bit, first: number, count: number): Moment8bit {
  const blocks = [first / adamw8bitBlock, Math.ceil(count / adamw8bitBlock)] as const;
  return { codes: codes.narrow(0, first, count), absmax: absmax.narrow(0, ...blocks) };
}

function valuesOf({ codes, absmax }: Moment8bit, map: Tensor): Tensor {
  const shares = map.indexSelect(0, codes.to('int32'));
  return shares.mul(perElement(absmax, shares.numel));
}

const perElement = (absmax: Tensor, n: number) =>
  absmax.unsqueeze(1).expand([-1, adamw8bitBlock]).reshape([-1]).narrow(0, 0, n);

/** Writes values as codes and absmax. */
function keepMoment(moment: Moment8bit, values: Tensor, map: Tensor, chance: Tensor): void {
  const n = values.numel;
  const padded = zeros([moment.absmax.numel * adamw8bitBlock], { device: values.device });
  padded.narrow(0, 0, n).copy_(values);
  const most = padded.view([-1, adamw8bitBlock]).abs().amax([1]);
  moment.absmax.copy_(most);
  // A block of zeros has shares of 0, whatever they are divided by.
  const shares = values.mul(perElement(most.clampMin(2 ** -126).reciprocal(), n)).clamp(-1, 1);
  const low = searchsorted(map, shares, { outInt32: true, right: true }).sub(1).clamp(0, 254);
  const [below, above] = [map.indexSelect(0, low), map.indexSelect(0, low.add(1))];
  const goesUp = chance.lt(shares.sub(below).div(above.sub(below)));
  moment.codes.copy_(low.add(goesUp.to('int32')));
}

/** lowbias32 (Wellons), of 32 bits 32 others. */
function mixNumber(given: number): number {
  let x = given >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The same of int64 elements. */
function mixed(x: Tensor): Tensor {
  const low = (wide: Tensor) => wide.bitwiseAnd(tensor([0xffffffff], { dtype: 'int64', device: x.device }));
  const folded = (y: Tensor, bits: number) => y.bitwiseXor(y.bitwiseRightShift(bits));
  return folded(low(folded(low(folded(x, 16).mul(0x7feb352d)), 15).mul(0x846ca68b)), 16);
}

/** A number in [0, 1) for each element, of 24 bits. */
function chances(key: number, first: number, count: number, device: Device): Tensor {
  const elements = arange(first, first + count, 1, { dtype: 'int64', device });
  const keyed = mixed(elements).bitwiseXor(tensor([key], { dtype: 'int64', device }));
  return mixed(keyed)
    .bitwiseRightShift(8)
    .to('float32')
    .mul(2 ** -24);
}
