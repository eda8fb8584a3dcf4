/** What layers have kernels for, alone: operators and kernels in turns, forward and backward, in bfloat16. */
import { type Device, grad, randn, synchronize, type Tensor, tidy } from '@reanchor/torch';
import { type AttentionPlace, type LayerKernels, layerKernels } from '#reanchor/nn/kernels.js';
import type { KernelForm } from '#reanchor/nn/module.js';
import type { TokenBatch } from '#reanchor/nn/spans.js';
import { gatheredAttention, varlenPlan, varlenTensors } from '#reanchor/nn/varlen.js';

interface LayerCase {
  title: string;
  /** The shapes of what it reads of a token. */
  inputs: readonly (readonly number[])[];
  /** The channels of a head that are turned, of layers with heads. */
  rotary?: number;
  /** Whether the backward pass reads the inputs again. */
  isReadAgain?: boolean;
  run(kernels: LayerKernels, inputs: readonly Tensor[], place: AttentionPlace): Tensor;
}

const cases: readonly LayerCase[] = [
  {
    title: 'SwiGLU of Llama-3-8B',
    inputs: [[14336], [14336]],
    isReadAgain: true,
    run: (kernels, [gate, up]) => kernels.swiglu(gate!, up!),
  },
  {
    title: 'heads of Llama-3-8B, gathered',
    inputs: [
      [32, 128],
      [8, 128],
      [8, 128],
    ],
    rotary: 128,
    run: (kernels, [q, k, v], place) => kernels.attend(q!, k!, v!, place),
  },
  {
    title: 'heads of Pythia-2.8B, gathered',
    inputs: [[32, 240]],
    rotary: 20,
    run: (kernels, [qkv], place) => kernels.attendJoined(qkv!, place),
  },
];

/** Prints milliseconds of both, and the bytes a second of the kernels by what they have to read and write. */
export function compareLayers(device: Device, { tokens = 8192, rounds = 7 } = {}): void {
  console.log(
    `| layer, ${tokens} tokens | pass | composed, ms | fused, ms | ratio | fused, GB/s |\n|---|---|---|---|---|---|`,
  );
  for (const one of cases) tidy(() => compareLayer(one, { device, tokens, rounds }));
  console.log('');
}

function compareLayer(one: LayerCase, { device, tokens, rounds }: { device: Device; tokens: number; rounds: number }) {
  const random = (...shape: number[]) => tidy(() => randn(shape, { device }).to('bfloat16'));
  const inputs = one.inputs.map((shape) => random(tokens, ...shape).requiresGrad_());
  const angles = { cos: random(tokens, 1, one.rotary ?? 2), sin: random(tokens, 1, one.rotary ?? 2) };
  const heads = new Heads(device, tokens);
  const layer = (form: KernelForm) =>
    heads.of(one.run(layerKernels(form), inputs, { layer: 0, batch: heads.batch, angles }));
  const times: Record<KernelForm, Passes[]> = { composed: [], fused: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const form of ['composed', 'fused'] as const) {
      const passes = tidy(() => timed(device, () => layer(form), inputs));
      if (round > 0) times[form].push(passes);
    }
  }
  const size = (list: readonly Tensor[]) => 2 * list.reduce((sum, { numel }) => sum + numel, 0);
  const bytes = size(inputs) + tidy(() => size(layer('fused')));
  const moved = { forward: bytes, backward: bytes + (one.isReadAgain ? size(inputs) : 0) };
  for (const pass of ['forward', 'backward'] as const) {
    const [slow, fast] = [median(times.composed, pass), median(times.fused, pass)];
    const rate = moved[pass] / fast / 1e6;
    const cells = [one.title, pass, slow.toFixed(2), fast.toFixed(2), (slow / fast).toFixed(2), rate.toFixed(0)];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

/** A batch of pairs, prompts of 256 tokens with completions of 128, whose attention hands on what it is given. */
class Heads {
  readonly batch: TokenBatch;
  #given: readonly Tensor[] | undefined;

  constructor(device: Device, tokens: number) {
    const groups = Array.from({ length: Math.max(1, tokens >> 9) }, (_, i) => {
      const unit = Math.min(128, tokens >> 2);
      return { start: 4 * unit * i, prefix: 2 * unit, completions: [unit, unit] };
    });
    const plan = varlenPlan(groups);
    const sequences = varlenTensors(plan, device);
    const { keys } = gatheredAttention(plan, sequences, device)!;
    const attend = (...given: Tensor[]) => {
      this.#given = given;
      return given[0]!;
    };
    const rows = sequences.keyTokens_G!;
    const gathering = (q: Tensor, ...rest: Tensor[]) => attend(q, ...rest.map((x) => x.indexSelect(0, rows)));
    this.batch = {
      attend: (_, q, k, v) => gathering(q, k, v),
      gathered: { keys, attend },
    } as Partial<TokenBatch> as TokenBatch;
  }

  /** What a layer has given to attention, or its own result. */
  of(result: Tensor): readonly Tensor[] {
    const given = this.#given ?? [result];
    this.#given = undefined;
    return given;
  }
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

const median = (all: readonly Passes[], pass: keyof Passes) =>
  all.map((one) => one[pass]).sort((a, b) => a - b)[all.length >> 1]!;
