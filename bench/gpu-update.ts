/** The update of weights alone: operators and the kernel in turns, on tensors of the size of a large matrix. */
import {
  type Device,
  type DType,
  dtypeBytes,
  foreachMul_,
  fusedAdamw_,
  moveTowards_,
  noGrad,
  randn,
  squaredDistance,
  synchronize,
  type Tensor,
  tidy,
  update_,
  zeros,
} from '@reanchor/torch';

interface UpdateCase {
  title: string;
  weight: DType;
  /** Whether the model computes with bfloat16 copies of the weights. */
  isRounded: boolean;
  reference: DType;
  share: number;
}

const cases: readonly UpdateCase[] = [
  { title: 'bf16-params, fixed', weight: 'bfloat16', isRounded: false, reference: 'bfloat16', share: 0 },
  { title: 'bf16-params, soft', weight: 'bfloat16', isRounded: false, reference: 'float32', share: 0.6 },
  { title: 'bf16, fixed', weight: 'float32', isRounded: true, reference: 'bfloat16', share: 0 },
  { title: 'bf16, soft', weight: 'float32', isRounded: true, reference: 'float32', share: 0.6 },
  { title: 'fp32, soft', weight: 'float32', isRounded: false, reference: 'float32', share: 0.6 },
];

const rates = { lr: 1e-5, beta1: 0.9, beta2: 0.95, eps: 1e-8 };

/** Prints milliseconds of both, and the bytes a second of the kernel by what it has to read and write. */
export function compareUpdates(device: Device, { matrices = 24, size = 4096, rounds = 7 } = {}): void {
  const millions = ((matrices * size * size) / 1e6).toFixed(0);
  console.log(
    `| update of ${millions} M parameters | composed, ms | fused, ms | ratio | fused, GB/s |\n|---|---|---|---|---|`,
  );
  for (const one of cases) {
    tidy(() => {
      const make = (dtype: DType) => Array.from({ length: matrices }, () => zeros([size, size], { dtype, device }));
      const random = (dtype: DType) =>
        Array.from({ length: matrices }, () => tidy(() => randn([size, size], { device }).mul(0.02).to(dtype)));
      const isSeparate = one.reference === 'float32' && (one.isRounded || one.weight === 'bfloat16');
      const tensors: Tensors = {
        weights: random(one.weight),
        gradients: random(one.weight),
        means: make(one.weight),
        squares: make(one.weight),
        references: random(one.reference),
        rounded: one.isRounded ? make('bfloat16') : [],
        roundedReferences: isSeparate ? make('bfloat16') : [],
        step: zeros([], { device }),
      };
      const times = { composed: [] as number[], fused: [] as number[] };
      const sides = { composed: () => composed(one, tensors), fused: () => fused(one, tensors) };
      for (let round = 0; round <= rounds; round++) {
        for (const [name, run] of Object.entries(sides) as ['composed' | 'fused', () => void][]) {
          synchronize(device);
          const begun = performance.now();
          tidy(run);
          synchronize(device);
          if (round > 0) times[name].push(performance.now() - begun);
        }
      }
      const [slow, fast] = [median(times.composed), median(times.fused)];
      const rate = (bytesOf(one) * matrices * size * size) / fast / 1e6;
      const cells = [one.title, slow.toFixed(2), fast.toFixed(2), (slow / fast).toFixed(2), rate.toFixed(0)];
      console.log(`| ${cells.join(' | ')} |`);
    });
  }
  console.log('');
}

interface Tensors {
  weights: Tensor[];
  gradients: Tensor[];
  means: Tensor[];
  squares: Tensor[];
  references: Tensor[];
  rounded: Tensor[];
  roundedReferences: Tensor[];
  step: Tensor;
}

/** Bytes that a parameter's update has to read and write. */
function bytesOf({ weight, isRounded, reference, share }: UpdateCase): number {
  const [w, r] = [dtypeBytes(weight), dtypeBytes(reference)];
  const model = isRounded ? 2 : 0;
  const follower = share === 0 ? r : 2 * r + (r === 4 && (isRounded || w === 2) ? 2 : 0);
  return 7 * w + model + follower;
}

function fused({ share }: UpdateCase, tensors: Tensors): void {
  const { weights, rounded, gradients, means, squares, references, roundedReferences } = tensors;
  const decays = weights.map(() => 0);
  update_({
    ...{ weights, rounded },
    step: { gradients, means, squares, decays, factor: 0.9, ...rates, step: 1 },
    followers: { references, rounded: roundedReferences, share },
  });
}

/** As training does it by operators, with the checksums that its self-checks ask for. */
function composed({ share, reference }: UpdateCase, tensors: Tensors): void {
  const { weights, rounded, gradients, means, squares, references, roundedReferences, step } = tensors;
  noGrad(() => {
    foreachMul_(gradients, 0.9);
    const options = { ...rates, weightDecay: 0, amsgrad: false, maximize: false };
    const steps = weights.map(() => step.add(1));
    fusedAdamw_(weights, gradients, means, squares, [], steps, options);
    for (const [i, x] of rounded.entries()) x.copy_(weights[i]!);
    const targets = reference === 'bfloat16' && rounded.length > 0 ? rounded : weights;
    if (share > 0) moveTowards_(references, targets, share);
    else squaredDistance(references, targets);
    for (const [i, x] of roundedReferences.entries()) x.copy_(references[i]!);
    for (const x of references) x.view([-1]).view('int64').sum();
  });
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
