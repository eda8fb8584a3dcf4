// Shapes: N packed tokens, I inputs, O outputs.
import {
  type Device,
  type DType,
  decodeLinear,
  dtypeBytes,
  keep,
  type Nf4Absmax,
  nf4Dequantize,
  nf4Linear,
  nf4Quantize,
  nf4QuantizeAbsmax,
  nf4Table,
  type Tensor,
  tensor,
  tidy,
} from '@reanchor/torch';
import { isDecoding } from './decoding.js';

/** What bitsandbytes adds to the name of a weight for the tensors that belong to it. */
export const nf4Suffixes = {
  absmax: '.absmax',
  map: '.quant_map',
  nestedAbsmax: '.nested_absmax',
  nestedMap: '.nested_quant_map',
  state: '.quant_state.bitsandbytes__nf4',
} as const;

/** What an NF4 weight is made of: its codes, two a byte, and the absmax of each block of values. */
export interface Nf4Parts {
  /** uint8 [ceil(O I / 2), 1] */
  packed: Tensor;
  absmax: Nf4Absmax;
  /** [O, I] */
  shape: readonly number[];
  blockSize: number;
  /** The dtype that values are rounded to: that of the weight that was quantised. */
  dtype: DType;
}

/**
 * A frozen weight W [O, I] in NF4, the 4-bit NormalFloat of QLoRA (Dettmers et al. 2023, arXiv 2305.14314), as
 * bitsandbytes stores it: W[i] = table[code[i]] * absmax[i / 64] in fp32, rounded to `dtype`. 4.5 bits a weight, 4.127
 * where absmax is quantised too (doubled), and 1 KB a matrix for its map. The dense values exist while they are used.
 */
export class Nf4Weight implements Disposable {
  readonly shape: readonly number[];
  readonly dtype: DType;

  /** `parts` belong to the weight from then on; like a network's parameters, to the current scope until `keep`. */
  constructor(private readonly parts: Nf4Parts) {
    this.shape = parts.shape;
    this.dtype = parts.dtype;
  }

  /**
   * The weight with each value replaced by the nearest of 16 times the largest of its block of 64; 9 % relative RMS
   * error on Gaussian weights. Errors: RangeError for a weight with values that are not finite.
   */
  static quantize(weight: Tensor, { isDoubled }: { isDoubled: boolean }): Nf4Weight {
    const { shape, dtype } = weight;
    const blockSize = 64;
    const made = tidy(() => {
      const { packed, absmax } = nf4Quantize(weight, { blockSize });
      return { packed, absmax: isDoubled ? nf4QuantizeAbsmax(absmax) : absmax };
    });
    return new Nf4Weight({ ...made, shape, blockSize, dtype });
  }

  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  /** The bytes that are held. */
  get bytes(): number {
    return this.#held().reduce((sum, { numel, dtype }) => sum + numel * dtypeBytes(dtype), 0);
  }

  get device(): Device {
    return this.parts.packed.device;
  }

  /**
   * x W^T + bias, [..., I] -> [..., O], in x's dtype. Gradients flow to x and the bias; for them W is made anew, so
   * that nothing dense is held between the passes.
   */
  linear(x: Tensor, bias?: Tensor): Tensor {
    const { packed, absmax, shape, blockSize, dtype: roundTo } = this.parts;
    // As for dense weights, a text that is generated does not depend on its batch.
    if (isDecoding()) return tidy(() => decodeLinear(x, this.dense(x.dtype), bias));
    return nf4Linear(x, packed, absmax, { shape, blockSize, roundTo, bias });
  }

  /** W, rounded to the weight's own dtype and then in `dtype`; of the current scope. */
  dense(dtype: DType = this.dtype): Tensor {
    const { packed, absmax, shape, blockSize } = this.parts;
    return tidy(() => nf4Dequantize(packed, absmax, { shape, blockSize, dtype: this.dtype }).to(dtype));
  }

  /** The same weight for another owner, in the same memory. */
  share(): Nf4Weight {
    const { packed, absmax, ...layout } = this.parts;
    const shared =
      'codes' in absmax
        ? {
            ...absmax,
            codes: absmax.codes.detach(),
            map: absmax.map.detach(),
            nestedAbsmax: absmax.nestedAbsmax.detach(),
          }
        : absmax.detach();
    return new Nf4Weight({ ...layout, packed: packed.detach(), absmax: shared });
  }

  /** Takes what is held out of every scope, so that it lives until the weight is disposed. Returns the weight. */
  keep(): this {
    keep(this.#held());
    return this;
  }

  /**
   * The weight as bitsandbytes stores it: tensors by what is added to the weight's name, the codes by ''. The table and
   * the state are made here, and belong to the current scope.
   */
  tensors(): ReadonlyMap<string, Tensor> {
    const { packed, absmax, shape, blockSize, dtype } = this.parts;
    const state = { quant_type: 'nf4', blocksize: blockSize, dtype, shape };
    const doubled = 'codes' in absmax ? absmax : undefined;
    const nested = doubled && {
      nested_blocksize: doubled.blockSize,
      nested_dtype: 'float32',
      nested_offset: doubled.offset,
    };
    return new Map([
      ['', packed],
      [nf4Suffixes.absmax, 'codes' in absmax ? absmax.codes : absmax],
      [nf4Suffixes.map, nf4Table()],
      ...(doubled
        ? ([
            [nf4Suffixes.nestedAbsmax, doubled.nestedAbsmax],
            [nf4Suffixes.nestedMap, doubled.map],
          ] as const)
        : []),
      [nf4Suffixes.state, tensor(new TextEncoder().encode(JSON.stringify({ ...state, ...nested })))],
    ]);
  }

  #held(): Tensor[] {
    const { packed, absmax } = this.parts;
    return 'codes' in absmax ? [packed, absmax.codes, absmax.map, absmax.nestedAbsmax] : [packed, absmax];
  }

  [Symbol.dispose](): void {
    for (const part of this.#held()) part.dispose();
  }
}
