/**
 * NF4, the 4-bit NormalFloat of QLoRA (Dettmers et al. 2023, arXiv 2305.14314), bit for bit as bitsandbytes stores it:
 *
 *     W[i] = table[code[i]] * absmax[i / blockSize], in float32, then rounded to a dtype
 *
 * where i counts the values row after row, so that a block may cross rows, and the last may be short. Two codes a byte,
 * the first in the high half. 4 + 32 / 64 = 4.5 bits a weight; with absmax quantised too 4 + 8 / 64 + 32 / (64 * 256) =
 * 4.127. The table stands once, in native/ops_nf4.cc.
 */

import { type DType, dtypeCode } from './dtype.js';
import { dynamicMap } from './dynamic-map.js';
import { handles, LazyOp, make, makeAll, numbers } from './op.js';
import { cat, empty, ones, searchsorted, zeros } from './ops.gen.js';
import { noGrad, tidy } from './scope.js';
import { type Tensor, tensor } from './tensor.js';

const absmaxOp = new LazyOp('reanchor::nf4_absmax', '');
const dequantizeOp = new LazyOp('reanchor::nf4_dequantize', '');
const linearOp = new LazyOp('reanchor::nf4_linear', '');
const quantizeOp = new LazyOp('reanchor::nf4_quantize', '');

/** Absmax that is quantised too: absmax[b] = map[codes[b]] * nestedAbsmax[b / blockSize] + offset, in float32. */
export interface DoubledAbsmax {
  /** uint8, one for each block of the weight. */
  codes: Tensor;
  /** float32 [256] */
  map: Tensor;
  /** float32, one for each `blockSize` codes. */
  nestedAbsmax: Tensor;
  offset: number;
  blockSize: number;
}

/** The largest |value| of each block, float32 [blocks], or its codes. */
export type Nf4Absmax = Tensor | DoubledAbsmax;

/** What the packed codes of a weight do not say of it. */
export interface Nf4Layout {
  /** Of the dense weight. */
  shape: readonly number[];
  /** Values that share an absmax; an even number. */
  blockSize: number;
}

const parts = (absmax: Nf4Absmax) =>
  'codes' in absmax
    ? ([handles([absmax.codes, absmax.map, absmax.nestedAbsmax]), absmax.offset, absmax.blockSize] as const)
    : ([handles([absmax]), 0, 1] as const);

/** The float32 absmax of every block. Errors: TorchError for sizes and dtypes that do not fit. */
export function nf4Absmax({ codes, map, nestedAbsmax, offset, blockSize }: DoubledAbsmax): Tensor {
  return make(absmaxOp.call(codes.handle, map.handle, nestedAbsmax.handle, offset, blockSize));
}

/**
 * The dense weight, rounded to `dtype`. On the CPU float32 and bfloat16 have a kernel, whose bits are those of the
 * operators that all else goes through. No gradient.
 *
 * @param packed codes, uint8 of ceil(n / 2) elements for n values
 * @throws TorchError for sizes and dtypes that do not fit
 */
export function nf4Dequantize(
  packed: Tensor,
  absmax: Nf4Absmax,
  { shape, blockSize, dtype }: Nf4Layout & { dtype: DType },
): Tensor {
  const layout = [numbers(shape), blockSize, dtypeCode(dtype)] as const;
  return make(dequantizeOp.call(packed.handle, ...parts(absmax), ...layout));
}

/**
 * x W^T + bias, [..., I] -> [..., O], in x's dtype, with W [O, I] rounded to `roundTo` first. The packed weight alone
 * is held for the backward pass, which makes W anew: dx = g W, and the bias has the sum of g. Differentiable once.
 *
 * @throws TorchError for sizes and dtypes that do not fit
 */
export function nf4Linear(
  x: Tensor,
  packed: Tensor,
  absmax: Nf4Absmax,
  { shape, blockSize, roundTo, bias }: Nf4Layout & { roundTo: DType; bias?: Tensor | undefined },
): Tensor {
  const layout = [numbers(shape), blockSize, dtypeCode(roundTo)] as const;
  return make(linearOp.call(x.handle, bias?.handle, packed.handle, ...parts(absmax), ...layout));
}

/** The values of the 16 codes, ascending from -1 to 1, float32 [16]. */
export function nf4Table(): Tensor {
  return tidy(() => {
    const everyCode = tensor(Uint8Array.from({ length: 8 }, (_, i) => 0x22 * i + 0x01));
    return nf4Dequantize(everyCode, ones([1]), { shape: [16], blockSize: 16, dtype: 'float32' });
  });
}

/** Values that are quantised at a time, so that what is made on the way stays small beside a weight. */
const piece = 2 ** 20;

/**
 * The codes of a weight and the largest |value| of each block: of x / absmax the code whose value is nearest, the lower
 * of two that are as near, where x is multiplied by the reciprocal of absmax, in float32. A block of zeros has the code
 * of 0.
 *
 * @returns packed uint8 [ceil(n / 2), 1] and absmax float32 [ceil(n / blockSize)]
 * @throws RangeError for a block size that is not even, and a weight that is empty or not finite
 */
export function nf4Quantize(weight: Tensor, { blockSize = 64 } = {}): { packed: Tensor; absmax: Tensor } {
  if (!(Number.isInteger(blockSize) && blockSize > 0 && blockSize % 2 === 0)) {
    throw new RangeError(`the block size of NF4 is an even number from 2 on, 64 as a rule; got ${blockSize}`);
  }
  const { numel, device } = weight;
  if (numel === 0) throw new RangeError(`a weight of shape [${weight.shape.join(', ')}] has no values to quantise`);
  return noGrad(() =>
    tidy(() => {
      const flat = weight.reshape([-1]);
      const table = nf4Table().to({ device });
      const packed = empty([Math.ceil(numel / 2), 1], { dtype: 'uint8', device });
      const absmax = empty([Math.ceil(numel / blockSize)], { device });
      const step = Math.ceil(piece / blockSize) * blockSize;
      for (let first = 0; first < numel; first += step) {
        tidy(() => {
          const values = flat
            .narrow(0, first, Math.min(step, numel - first))
            .to('float32')
            .contiguous();
          const [bytes, most] = device === 'cpu' ? quantized(values, blockSize) : composed(values, blockSize, table);
          absmax.narrow(0, first / blockSize, most.numel).copy_(most);
          packed.narrow(0, first / 2, bytes.numel).copy_(bytes);
        });
      }
      if (!absmax.isfinite().all().item()) {
        throw new RangeError('the weight has values that are NaN or infinite, in float32, for which NF4 has no codes');
      }
      return { packed, absmax };
    }),
  );
}

/** Two codes a byte [ceil(n / 2), 1], and the absmax of each block, by the kernel of the CPU. */
const quantized = (values: Tensor, blockSize: number): [Tensor, Tensor] =>
  makeAll(quantizeOp.call(values.handle, blockSize)) as [Tensor, Tensor];

/** The same by libtorch's operators. */
function composed(values: Tensor, blockSize: number, table: Tensor): [Tensor, Tensor] {
  const { codes, absmax } = blockwise(values, blockSize, table);
  const pairs = codes.narrow(0, 0, 2 * Math.ceil(values.numel / 2)).view([-1, 2]);
  const bytes = pairs
    .narrow(1, 0, 1)
    .mul(16)
    .add(pairs.narrow(1, 1, 1));
  return [bytes.to('uint8'), absmax];
}

/**
 * Absmax [blocks] quantised too: what is left of it without its mean, in blocks of 256, by the values of
 * {@link dynamicMap}.
 */
export function nf4QuantizeAbsmax(absmax: Tensor): DoubledAbsmax {
  const blockSize = 256;
  return noGrad(() =>
    tidy(() => {
      const offset = absmax.mean().item();
      const map = tensor(dynamicMap({ isSigned: true }), { device: absmax.device });
      const made = blockwise(absmax.sub(offset), blockSize, map);
      const codes = made.codes.narrow(0, 0, absmax.numel).to('uint8');
      return { codes, map, nestedAbsmax: made.absmax, offset, blockSize };
    }),
  );
}

/**
 * Of every value x, in blocks with absmax a, the number of midpoints of `values` below clamp(x (1 / a), -1, 1), which
 * is the code of the nearest; int32, with zeros in place of what the last block lacks. In float32 throughout.
 */
function blockwise(x: Tensor, blockSize: number, values: Tensor): { codes: Tensor; absmax: Tensor } {
  const lacking = Math.ceil(x.numel / blockSize) * blockSize - x.numel;
  const wide = x.to('float32');
  const padded = lacking === 0 ? wide : cat([wide, zeros([lacking], { device: x.device })]);
  const blocks = padded.view([-1, blockSize]);
  const absmax = blocks.abs().amax(1);
  const scaled = blocks
    .mul(
      absmax
        .clampMin(2 ** -126)
        .reciprocal()
        .unsqueeze(1),
    )
    .clamp_(-1, 1);
  const last = values.numel - 1;
  const midpoints = values
    .narrow(0, 0, last)
    .add(values.narrow(0, 1, last))
    .div(2);
  return { codes: searchsorted(midpoints, scaled, { outInt32: true }).view([-1]), absmax };
}
