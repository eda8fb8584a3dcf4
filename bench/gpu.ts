// A DPO step on a GPU in bfloat16, ours beside TRL's trainer (gpu_rival.py): pairs a second, the share of the device's
// matrix-product ceiling that the step's FLOPs make, and peak memory.
//
//   npx tsx bench/gpu.ts [steps = 5] [pythia|llama]   without a CUDA device: says so
//   npx tsx bench/gpu.ts [steps = 5] --cpu            a tiny model on the CPU, float32, the same weights on both sides
//
// Rows are made-up tokens, with the lengths of real ones (gpu-lengths.json: 64 pairs of HH and of UltraFeedback).
// Weights are random. Precision is bf16-params on both sides: weights, gradients and optimizer in bfloat16. FLOPs are
// those of the packed rows on both sides, since that is the work that has to be done. TRL is run with several sizes of
// micro-batch; beside it stands what can be written with transformers alone, packed (gpu_rival_packed.py). Ours is run
// composed and with kernels: fused, in turns, and with float32 master weights; the update and layers alone as well
// (gpu-update.ts, gpu-layers.ts). Set REANCHOR_PYTHON to a Python with torch, transformers and trl.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  cudaMemory,
  type Device,
  isCudaAvailable,
  memory,
  noGrad,
  ones,
  randn,
  setNumThreads,
  synchronize,
  tidy,
  zeros,
} from '@reanchor/torch';
import {
  backwardFlops,
  buildModel,
  CopiedReference,
  copyModel,
  FusedWeights,
  forwardFlops,
  initModel,
  loadModel,
  planSteps,
  saveModel,
  type UpdateRule,
  Weights,
} from 'reanchor';
import { pairTokens } from '#reanchor/data/index.js';
import { packLayout } from '#reanchor/estimate/layout.js';
import { modelShape } from '#reanchor/models/shape.js';
import { models } from './cases.js';
import { dpo, dpoTrainer, type Lengths, madeUpPairs } from './dpo.js';
import { nominalFlops, strictStepFlops } from './gpu-flops.js';
import { compareLayers } from './gpu-layers.js';
import { compareUpdates } from './gpu-update.js';

type Config = Record<string, unknown> & { vocab_size: number };

interface Case {
  title: string;
  config: Config;
  rows: 'hh' | 'ultrafeedback';
  dtype: 'bfloat16' | 'float32';
  device: Device;
  pairs: number;
  tokensPerMicroBatch: number;
  /** The pairs of a micro-batch of TRL's that are tried. */
  trlBatches: readonly number[];
  steps: number;
  reference: UpdateRule;
  kernels?: 'composed' | 'fused';
  /** Whether float32 weights are trained beside those that the model computes with. */
  masters?: boolean;
  /** The folder of weights that both sides begin with; random ones of their own when left out. */
  model?: string;
}

/** What a side answers: seconds of each step after the first, and losses of all of them; TRL's for each size. */
interface Side {
  name: string;
  seconds: number[];
  losses: number[];
  peakBytes: number;
}

const [stepsText = '5', mode] = process.argv.slice(2);

/** By the name that selects one alone. The shape of Llama-3-8B keeps all its layers where the device holds them. */
function gpuCases(deviceBytes: number): Record<string, Case> {
  const common = {
    dtype: 'bfloat16',
    device: 'cuda:0',
    pairs: 32,
    steps: Number(stepsText),
    reference: { update: 'fixed' },
  } as const;
  const pythia = {
    ...models['pythia-70m'],
    hidden_size: 2560,
    intermediate_size: 10240,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  };
  const layers = deviceBytes > 120e9 ? 32 : 16;
  const llama = {
    ...models['smollm2-135m'],
    vocab_size: 128256,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: layers,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    rope_theta: 500000,
    tie_word_embeddings: false,
  };
  return {
    pythia: {
      title: 'Pythia-2.8B, HH',
      config: pythia,
      rows: 'hh',
      tokensPerMicroBatch: 8192,
      trlBatches: [1, 2, 4, 8, 16],
      ...common,
    },
    llama: {
      title: `Llama-3-8B${layers === 32 ? '' : ` with ${layers} of its 32 layers`}, UltraFeedback`,
      config: llama,
      rows: 'ultrafeedback',
      tokensPerMicroBatch: 4096,
      trlBatches: [1, 2, 4],
      ...common,
    },
  };
}

/** Prints a row for every side as soon as it is measured, so that one that fails takes no other with it. */
function compareAll(name: string | undefined): void {
  const { total } = cudaMemory('cuda:0');
  const all = gpuCases(total);
  if (name !== undefined && !all[name]) {
    throw new Error(`no case is named ${name}: name one of ${Object.keys(all).join(', ')}`);
  }
  const ceiling = matmulFlops();
  const card = cardName();
  const nominal = card === undefined ? undefined : nominalFlops(card);
  console.log(
    `${card ?? 'One GPU'}, ${gigabytes(total)}, ${(ceiling / 1e12).toFixed(0)} TFLOP/s in a bfloat16 matrix product of 8192` +
      `${nominal ? `, ${nominal / 1e12} by its data sheet` : ''}.\n\n` +
      '| DPO step, 32 pairs | side | pairs/s | MFU | strict, of the data sheet | peak memory |\n|---|---|---|---|---|---|',
  );
  for (const one of name === undefined ? Object.values(all) : [all[name]!]) {
    const [flops, strict] = [stepFlops(one), strictStepFlops(modelShape(one.config), lengthsOf(one))];
    const report = ({ name, seconds, peakBytes }: Side) => {
      const step = median(seconds);
      const share = (work: number, rate: number) => `${((100 * work) / step / rate).toFixed(1)} %`;
      const ofSheet = nominal === undefined ? '' : share(strict, nominal);
      const cells = [one.title, name, (one.pairs / step).toFixed(2), share(flops, ceiling), ofSheet];
      console.log(`| ${cells.join(' | ')} | ${gigabytes(peakBytes)} |`);
    };
    const soft = { ...one, reference: { update: 'soft', alpha: 0.6 } } as const;
    const ours = [one, soft, { ...one, masters: true }, { ...soft, masters: true }];
    const sides = [
      ...ours.map((which) => () => inTurns(which)),
      () => trlOf(one),
      ...ours.map((which) => () => packedOf(which)),
    ];
    for (const measure of sides) {
      try {
        measure().forEach(report);
      } catch (error) {
        console.log(`| ${one.title} | ${(error as Error).message} | | | | |`);
      }
    }
  }
}

/** Composed and fused, twice each, one after the other: each one's seconds of both rounds. */
function inTurns(one: Case): Side[] {
  const kinds = ['composed', 'fused'] as const;
  const rounds = [1, 2].map(() => kinds.map((kernels) => oursOf({ ...one, kernels })));
  return kinds.map((_, i) => ({ ...rounds[0]![i]!, seconds: rounds.flatMap((round) => round[i]!.seconds) }));
}

/** The card's name, by the driver's own tool. */
function cardName(): string | undefined {
  const { stdout, status } = spawnSync('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.split('\n')[0]!.trim() : undefined;
}

/** Both sides on a tiny model: their losses must be the same. */
function compareOnCpu(): void {
  const folder = mkdtempSync(join(tmpdir(), 'bench-gpu-'));
  const config = {
    ...models['smollm2-135m'],
    vocab_size: 512,
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
  };
  const one: Case = {
    title: 'a tiny Llama',
    config,
    rows: 'hh',
    dtype: 'float32',
    device: 'cpu',
    pairs: 8,
    tokensPerMicroBatch: 1024,
    trlBatches: [4, 8],
    steps: Number(stepsText),
    reference: { update: 'fixed' },
    model: folder,
  };
  try {
    console.log(`| ${one.title} on the CPU | seconds a step | losses |\n|---|---|---|`);
    for (const { name, seconds, losses } of [oursOf(one), ...trlOf(one), ...packedOf(one)]) {
      const shown = losses.map((loss) => loss.toFixed(6)).join(', ');
      console.log(`| ${name} | ${median(seconds).toFixed(3)} | ${shown} |`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const oursOf = (one: Case): Side =>
  answer<Side>(process.execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), stepsText, 'ours'], one);

const rivalOf = (file: string) => (one: Case) =>
  answer<Side[]>(process.env.REANCHOR_PYTHON ?? 'python3', [fileURLToPath(new URL(file, import.meta.url))], {
    ...one,
    rows: rowsOf(one).map(({ prompt, chosen, rejected }) => [[...prompt], [...chosen], [...rejected]]),
  });
const trlOf = rivalOf('gpu_rival.py');
const packedOf = rivalOf('gpu_rival_packed.py');

/** What a process of its own answers to a task. */
function answer<Result>(command: string, args: readonly string[], task: object): Result {
  const { stdout, status } = spawnSync(command, args, {
    encoding: 'utf8',
    input: JSON.stringify(task),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} failed`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
}

function lengthsOf({ rows, pairs }: Case): Lengths[] {
  const file = new URL('gpu-lengths.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as Record<Case['rows'], Lengths[]>)[rows].slice(0, pairs);
}

const rowsOf = (one: Case) => madeUpPairs(lengthsOf(one), one.config.vocab_size);

/** The same rows in every step. */
function stepPlans(one: Case) {
  const { pairs: batchSize, tokensPerMicroBatch, steps } = one;
  const lengths = rowsOf(one).map(pairTokens);
  return [...planSteps(lengths, { batchSize, tokensPerMicroBatch, epochs: steps + 1, seed: 1, shuffle: false })];
}

function stepFlops(one: Case): number {
  const shape = modelShape(one.config);
  const rows = rowsOf(one);
  const layouts = dpo.layOut(stepPlans(one)[0]!, rows).map(({ policy }) => packLayout(policy));
  return layouts.reduce((sum, pack) => sum + 2 * forwardFlops(shape, pack) + backwardFlops(shape, pack), 0);
}

async function ours(one: Case): Promise<Side> {
  const { device, dtype, reference: rule } = one;
  if (device === 'cpu') setNumThreads(1);
  const Kind = one.kernels === 'fused' ? FusedWeights : Weights;
  const model = await startingModel(one);
  using policy = one.masters ? new Kind(model, { wide: copyModel(model, 'float32') }) : new Kind(model);
  // As a recipe's: one that moves by parts keeps float32 weights.
  using reference = new CopiedReference(policy, rule, { dtype: rule.update === 'soft' ? 'float32' : dtype });
  using trainer = dpoTrainer(policy, reference);
  const rows = rowsOf(one);
  const [seconds, losses]: [number[], number[]] = [[], []];
  for (const plan of stepPlans(one)) {
    const begun = performance.now();
    const { scores } = trainer.step(dpo.layOut(plan, rows));
    synchronize(device);
    seconds.push((performance.now() - begun) / 1000);
    losses.push(scores.reduce((sum, { loss }) => sum + loss, 0) / scores.length);
  }
  const peakBytes = device === 'cpu' ? memory().peakRss : cudaMemory(device).peakAllocated;
  const parts = [one.masters && 'float32 masters', rule.update === 'soft' && 'soft reference every step'];
  const name = ['reanchor', ...parts, one.kernels === 'fused' && 'kernels: fused'].filter(Boolean).join(', ');
  return { name, seconds: seconds.slice(1), losses, peakBytes };
}

/** From the case's folder, which is made here; or random weights, drawn on the device, which takes seconds less. */
async function startingModel({ config, dtype, device, model, kernels }: Case) {
  if (model !== undefined) {
    using start = initModel(config, { seed: 1, dtype });
    await saveModel(start, model);
    return loadModel(model, { dtype, device, kernels });
  }
  return tidy(() =>
    buildModel(config, {
      kernels,
      parameter(name, shape) {
        if (shape.length > 1) return tidy(() => randn([...shape], { dtype, device }).mul(0.02));
        return (name.endsWith('.bias') ? zeros : ones)([...shape], { dtype, device });
      },
    }).keep(),
  );
}

/** FLOPs a second of a bfloat16 matrix product, the best of six. */
function matmulFlops(): number {
  const [size, products] = [8192, 10];
  return tidy(() =>
    noGrad(() => {
      const [a, b] = [
        randn([size, size], { device: 'cuda:0' }).to('bfloat16'),
        randn([size, size], { device: 'cuda:0' }).to('bfloat16'),
      ];
      const rates = Array.from({ length: 6 }, () => {
        const begun = performance.now();
        for (let i = 0; i < products; i++) a.mm(b).dispose();
        synchronize('cuda:0');
        return (2 * size ** 3 * products * 1000) / (performance.now() - begun);
      });
      return Math.max(...rates);
    }),
  );
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

if (mode === 'ours') console.log(JSON.stringify(await ours(JSON.parse(readFileSync(0, 'utf8')) as Case)));
else if (mode === '--cpu') compareOnCpu();
else if (isCudaAvailable()) {
  compareUpdates('cuda:0');
  compareLayers('cuda:0');
  compareAll(mode);
} else console.log('gpu: libtorch sees no CUDA device here, so that nothing was measured');
