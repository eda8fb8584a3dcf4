// Rotary position embedding (Su et al. 2021), in the half-split layout of Hugging Face checkpoints.
// Shapes: P positions in the table, N packed tokens, H heads, C channels of a head.
import { type Device, type DType, keep, type Tensor, tensor, tidy } from '@reanchor/torch';

/** How the inverse frequencies are made. `llama3` stretches the long wavelengths (Llama 3.1), `default` leaves them. */
export type RopeScaling =
  | { type: 'default' }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositions: number };

/**
 * The C/2 inverse frequencies theta^(-2i/C), in float64. With `llama3`, wavelengths above originalMaxPositions /
 * lowFreqFactor are divided by `factor`, those below originalMaxPositions / highFreqFactor are left, and the ones
 * between are interpolated.
 */
export function inverseFrequencies(channels: number, theta: number, scaling: RopeScaling): Float64Array {
  return Float64Array.from({ length: channels / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / channels);
    if (scaling.type === 'default') return frequency;
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
    if (turns < lowFreqFactor) return frequency / factor;
    if (turns > highFreqFactor) return frequency;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return (1 - smooth) * (frequency / factor) + smooth * frequency;
  });
}

/** The cosines and sines of a batch's positions, [N, 1, C], ready to be used on [N, H, C]. */
export interface RotaryAngles {
  cos: Tensor;
  sin: Tensor;
}

/** A table of cosines and sines that grows with the longest position asked for. Angles are computed in float64. */
export class Rotary implements Disposable {
  #table: (RotaryAngles & { positions: number; dtype: DType; device: Device }) | undefined;

  constructor(readonly frequencies: Float64Array) {}

  /** The angles of these positions; the two tensors belong to the current scope. */
  angles(positions_N: Tensor, longest: number, dtype: DType): RotaryAngles {
    const { cos, sin } = this.#upTo(longest + 1, dtype, positions_N.device);
    return {
      cos: cos.indexSelect(0, positions_N).unsqueeze(1),
      sin: sin.indexSelect(0, positions_N).unsqueeze(1),
    };
  }

  #upTo(positions: number, dtype: DType, device: Device): RotaryAngles {
    const table = this.#table;
    if (table && table.positions >= positions && table.dtype === dtype && table.device === device) return table;
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(positions)));
    const half = this.frequencies.length;
    const angles = new Float64Array(size * 2 * half);
    for (let p = 0; p < size; p++) {
      for (let c = 0; c < 2 * half; c++) angles[p * 2 * half + c] = p * this.frequencies[c % half]!;
    }
    const made = tidy(() => {
      const angles_PC = tensor(angles, { shape: [size, 2 * half] });
      return { cos: angles_PC.cos().to({ dtype, device }), sin: angles_PC.sin().to({ dtype, device }) };
    });
    this[Symbol.dispose]();
    this.#table = { ...keep(made), positions: size, dtype, device };
    return this.#table;
  }

  [Symbol.dispose](): void {
    this.#table?.cos.dispose();
    this.#table?.sin.dispose();
    this.#table = undefined;
  }
}
