// The one-pass update beside what it stands for: libtorch's AdamW and the updates of references, composed, on the CPU.
import {
  type Device,
  type DType,
  fusedAdamw_,
  manualSeed,
  moveTowards_,
  noGrad,
  randn,
  type SeenFollowers,
  type Tensor,
  tensor,
  update_,
  zeros,
} from '@reanchor/torch';

/** Sizes around those of a thread, a block of threads and a block's elements, none and several dimensions. */
const sizes: readonly (readonly number[])[] = [
  [],
  [0],
  [1],
  [3],
  [4],
  [5],
  [7, 13],
  [1023],
  [1024],
  [65536],
  [3, 21847],
];

export interface UpdateCase {
  weight: DType;
  /** The dtype in which the model computes, where that is another one. */
  rounded?: 'bfloat16';
  reference?: DType;
  /** The dtype in which the reference's model computes, where that is another one. */
  roundedReference?: 'bfloat16';
  share?: number;
  /** What gradients are scaled by. */
  factor?: number;
  /** Whether the optimizer makes a step. Default: it does. */
  steps?: boolean;
}

export const updateCases: readonly UpdateCase[] = [
  { weight: 'float32' },
  { weight: 'float32', factor: 0.3, reference: 'float32', share: 0 },
  { weight: 'float32', reference: 'float32', share: 0.3 },
  { weight: 'float32', factor: 0.7, reference: 'float32', share: 0.6 },
  { weight: 'float32', reference: 'float32', share: 1 },
  { weight: 'float32', steps: false, reference: 'float32', share: 0.25 },
  {
    weight: 'float32',
    rounded: 'bfloat16',
    reference: 'float32',
    roundedReference: 'bfloat16',
    share: 0.4,
    factor: 0.5,
  },
  { weight: 'float32', rounded: 'bfloat16', reference: 'bfloat16', share: 1 },
  { weight: 'float32', rounded: 'bfloat16', reference: 'bfloat16', share: 0 },
  { weight: 'bfloat16', factor: 0.5, reference: 'bfloat16', share: 0 },
  { weight: 'bfloat16', reference: 'bfloat16', share: 1 },
  { weight: 'bfloat16', factor: 0.9, reference: 'float32', roundedReference: 'bfloat16', share: 0.6 },
];

const rates = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };
const madeSteps = 7;

/** The tensors of a case on the CPU; vectors have no decay. */
export function updateTensors({ weight, rounded, reference, roundedReference }: UpdateCase) {
  manualSeed(3);
  const each = (scale: number, dtype: DType) =>
    sizes.map((shape) =>
      randn([...shape])
        .mul(scale)
        .to(dtype),
    );
  const weights = each(1, weight);
  const references =
    reference === undefined
      ? []
      : weights.map((w) =>
          w
            .to('float32')
            .add(randn(w.shape as number[]).mul(0.01))
            .to(reference),
        );
  return {
    weights,
    rounded: rounded === undefined ? [] : weights.map((w) => w.to(rounded)),
    gradients: each(0.3, weight),
    means: each(0.1, weight),
    squares: each(0.1, 'float32').map((x) => x.square().to(weight)),
    references,
    roundedReferences: roundedReference === undefined ? [] : references.map((r) => r.to(roundedReference)),
  };
}

export type UpdateTensors = ReturnType<typeof updateTensors>;

const decaysOf = ({ weights }: UpdateTensors) => weights.map(({ shape }) => (shape.length > 1 ? 0.1 : 0));

/** Copies on a device. */
export function copiedTo(tensors: UpdateTensors, device: Device): UpdateTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, list]) => [name, list.map((x) => x.to({ device, copy: true }))]),
  ) as UpdateTensors;
}

/** By the kernel, in one pass. */
export function fused(one: UpdateCase, tensors: UpdateTensors): SeenFollowers | undefined {
  const { weights, rounded, gradients, means, squares, references, roundedReferences } = tensors;
  const { factor = 1, share = 0, steps = true } = one;
  const step = { gradients, means, squares, decays: decaysOf(tensors), factor, ...rates, step: madeSteps };
  return update_({
    ...{ weights, rounded },
    step: steps ? step : undefined,
    followers: references.length > 0 ? { references, rounded: roundedReferences, share } : undefined,
  });
}

/** By the operators that training is composed of. */
export function composed(one: UpdateCase, tensors: UpdateTensors): SeenFollowers | undefined {
  const { weights, rounded, gradients, means, squares, references, roundedReferences } = tensors;
  const { factor = 1, share = 0, steps = true } = one;
  return noGrad(() => {
    const decays = decaysOf(tensors);
    for (const [i, weight] of steps ? weights.entries() : []) {
      // A GPU rounds this product once.
      const gradient = gradients[i]!.to('float32').mul(Math.fround(factor)).to(weight.dtype);
      adamw(weight, gradient, means[i]!, squares[i]!, decays[i]!);
    }
    for (const [i, x] of rounded.entries()) x.copy_(weights[i]!);
    if (references.length === 0) return undefined;
    const targets = references.map((r, i) => weights[i]!.to(r.dtype));
    const seen = moveTowards_(share === 0 ? references.map((r) => r.clone()) : references, targets, share);
    for (const [i, x] of roundedReferences.entries()) x.copy_(references[i]!);
    return { ...seen, checksums: references.map(checksum) };
  });
}

/**
 * By libtorch's kernel of the CPU. What is left over behind its vectors it rounds otherwise, so that it is given whole
 * ones.
 */
function adamw(weight: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, weightDecay: number): void {
  const { numel, dtype } = weight;
  const all = [weight, gradient, mean, square];
  const whole = all.map((x) => {
    const padded = zeros([Math.ceil(numel / 64) * 64], { dtype });
    padded.narrow(0, 0, numel).copy_(x.view([-1]));
    return padded;
  }) as [Tensor, Tensor, Tensor, Tensor];
  const step = tensor([madeSteps]).view([]).to('float32');
  const options = { ...rates, weightDecay, amsgrad: false, maximize: false };
  fusedAdamw_([whole[0]], [whole[1]], [whole[2]], [whole[3]], [], [step], options);
  for (const [i, x] of all.entries()) x.copy_(whole[i]!.narrow(0, 0, numel).view(x.shape as number[]));
}

/** As `checksums` of weights has it: the sum of a tensor's bits, as integers of 64 bits where they fit. */
function checksum(x: Tensor): string {
  const bytes = x.dtype === 'bfloat16' ? 2 : 4;
  const words = (x.numel * bytes) % 8 === 0 ? 'int64' : bytes === 2 ? 'int16' : 'int32';
  return String(x.view([-1]).view(words).sum().data()[0]);
}

/** The bits of all tensors, with one NaN for all. */
export const bitsOf = (tensors: UpdateTensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, list]) => [
      name,
      list.map((x) => x.to({ device: 'cpu' }).to('float32').toList()),
    ]),
  );
