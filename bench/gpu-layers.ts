/** What layers have kernels for, alone: operators and kernels in turns, forward and backward, in bfloat16. */
import { type Device, grad, randn, synchronize, type Tensor, tidy } from '@reanchor/torch';
import { type KernelForm, layerKernels } from '#reanchor/nn/kernels.js';
import type { RotaryAngles } from '#reanchor/nn/rotary.js';

interface LayerCase {
  title: string;
  /** The shapes of what it reads of a token. */
  inputs: readonly (readonly number[])[];
  /** The channels of a head that are turned, of layers with heads. */
  rotary?: number;
  run(form: KernelForm, inputs: readonly Tensor[], angles: RotaryAngles): readonly Tensor[];
  /** Numbers that are read and written of the inputs at least, forward and backward, as multiples of their sizes. */
  passes: { forward: number; backward: number };
}

const cases: readonly LayerCase[] = [
  {
    title: 'SwiGLU of Llama-3-8B',
    inputs: [[14336], [14336]],
    run: (form, [gate, up]) => [layerKernels(form).swiglu(gate!, up!)],
    passes: { forward: 1.5, backward: 2.5 },
  },
  {
    title: 'rotated heads of Llama-3-8B',
    inputs: [
      [32, 128],
      [8, 128],
    ],
    rotary: 128,
    run: (form, [q, k], angles) => layerKernels(form).rotateHeads(q!, k!, angles),
    passes: { forward: 2, backward: 2 },
  },
  {
    title: 'split and rotated heads of Pythia-2.8B',
    inputs: [[32, 240]],
    rotary: 20,
    run: (form, [qkv], angles) => layerKernels(form).splitHeads(qkv!, angles),
    passes: { forward: 2, backward: 2 },
  },
];

/** Prints milliseconds of both, and the bytes a second of the kernels by what they have to read and write. */
export function compareLayers(device: Device, { tokens = 8192, rounds = 7 } = {}): void {
  console.log(
    `| layer, ${tokens} tokens | pass | composed, ms | fused, ms | ratio | fused, GB/s |\n|---|---|---|---|---|---|`,
  );
  for (const one of cases) {
    tidy(() => {
      const inputs = one.inputs.map((shape) =>
        tidy(() => randn([tokens, ...shape], { device }).to('bfloat16')).requiresGrad_(),
      );
      const table = () => randn([tokens, 1, one.rotary ?? 2], { device }).to('bfloat16');
      const angles = { cos: table(), sin: table() };
      const times = { composed: new Times(), fused: new Times() };
      for (let round = 0; round <= rounds; round++) {
        for (const form of ['composed', 'fused'] as const) {
          const passes = tidy(() => timed(device, () => one.run(form, inputs, angles), inputs));
          if (round > 0) times[form].add(passes);
        }
      }
      const bytes = 2 * inputs.reduce((sum, { numel }) => sum + numel, 0);
      for (const pass of ['forward', 'backward'] as const) {
        const [slow, fast] = [times.composed.median(pass), times.fused.median(pass)];
        const rate = (one.passes[pass] * bytes) / fast / 1e6;
        const cells = [one.title, pass, slow.toFixed(2), fast.toFixed(2), (slow / fast).toFixed(2), rate.toFixed(0)];
        console.log(`| ${cells.join(' | ')} |`);
      }
    });
  }
  console.log('');
}

/** Milliseconds of both passes. */
interface Passes {
  forward: number;
  backward: number;
}

function timed(device: Device, run: () => readonly Tensor[], inputs: readonly Tensor[]): Passes {
  const measured = <T>(work: () => T): [T, number] => {
    synchronize(device);
    const begun = performance.now();
    const result = work();
    synchronize(device);
    return [result, performance.now() - begun];
  };
  const [outputs, forward] = measured(run);
  const [, backward] = measured(() => grad(outputs, inputs, { gradOutputs: outputs.map((x) => x.detach()) }));
  return { forward, backward };
}

class Times {
  readonly #all: Passes[] = [];

  add(passes: Passes): void {
    this.#all.push(passes);
  }

  median(pass: keyof Passes): number {
    return this.#all.map((one) => one[pass]).sort((a, b) => a - b)[this.#all.length >> 1]!;
  }
}
