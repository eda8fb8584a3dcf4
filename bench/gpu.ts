// A DPO step on a GPU in bfloat16, ours beside a padded loop in PyTorch (gpu_rival.py): pairs a second, the share of the
// device's matrix-product ceiling that the step's FLOPs make, and peak memory. Not run on a GPU so far.
//
//   npx tsx bench/gpu.ts [steps = 5]          without a CUDA device: says so
//   npx tsx bench/gpu.ts [steps = 5] --cpu    a tiny model in float32 on the CPU, from the same weights on both sides
//
// Rows are random tokens, with the lengths of real ones (gpu-lengths.json: 64 pairs of HH and of UltraFeedback). Weights are
// random. Precision is bf16-params on both sides: weights, gradients and optimizer in bfloat16. FLOPs are those of the
// packed rows on both sides, since that is the work that has to be done. Set REANCHOR_PYTHON to a Python with torch and
// transformers for the rival.
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
  randn,
  setNumThreads,
  synchronize,
  tidy,
} from '@reanchor/torch';
import {
  backwardFlops,
  CopiedReference,
  forwardFlops,
  initModel,
  loadModel,
  pairMethod,
  pairObjective,
  planSteps,
  saveModel,
  type TokenizedPair,
  Trainer,
} from 'reanchor';
import { groupTokens, pairGroup } from '../packages/reanchor/src/data/index.js';
import { packLayout } from '../packages/reanchor/src/estimate/layout.js';
import { modelShape } from '../packages/reanchor/src/models/shape.js';
import { models } from './cases.js';

type Lengths = [prompt: number, chosen: number, rejected: number];
type Config = Record<string, unknown> & { vocab_size: number };

interface Case {
  title: string;
  config: Config;
  rows: 'hh' | 'ultrafeedback';
  dtype: 'bfloat16' | 'float32';
  device: Device;
  pairs: number;
  tokensPerMicroBatch: number;
  steps: number;
  /** The folder of weights that both sides begin with; random ones of their own when left out. */
  model?: string;
}

/** What a side answers: seconds of each step after the first, and losses of all of them. */
interface Side {
  seconds: number[];
  losses: number[];
  peakBytes: number;
}

const [stepsText = '5', mode, specText] = process.argv.slice(2);

function gpuCases(): Case[] {
  const common = {
    dtype: 'bfloat16',
    device: 'cuda:0',
    pairs: 32,
    tokensPerMicroBatch: 8192,
    steps: Number(stepsText),
  } as const;
  const pythia = {
    ...models['pythia-70m'],
    hidden_size: 2560,
    intermediate_size: 10240,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  };
  const llama = {
    ...models['smollm2-135m'],
    vocab_size: 128256,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    rope_theta: 500000,
    tie_word_embeddings: false,
  };
  return [
    { title: 'Pythia-2.8B, HH', config: pythia, rows: 'hh', ...common },
    { title: 'Llama-3-8B with 16 of its 32 layers, UltraFeedback', config: llama, rows: 'ultrafeedback', ...common },
  ];
}

function compareAll(): void {
  const ceiling = matmulFlops();
  const rows = gpuCases().map((one) => {
    const flops = stepFlops(one);
    const cells = (side: Side) => {
      const seconds = median(side.seconds);
      return [
        (one.pairs / seconds).toFixed(2),
        `${((100 * flops) / seconds / ceiling).toFixed(1)} %`,
        gigabytes(side.peakBytes),
      ];
    };
    const [mine, theirs] = [cells(sideOf(one, 'ours')), cells(sideOf(one, 'rival'))];
    return `| ${one.title} | ${mine.flatMap((cell, i) => [cell, theirs[i]!]).join(' | ')} |`;
  });
  const { total } = cudaMemory('cuda:0');
  console.log(
    [
      `One GPU of ${gigabytes(total)}, ${(ceiling / 1e12).toFixed(0)} TFLOP/s in a bfloat16 matrix product of 8192.`,
      '',
      '| DPO step, 32 pairs | pairs/s | PyTorch | MFU | PyTorch | peak memory | PyTorch |',
      '|---|---|---|---|---|---|---|',
      ...rows,
    ].join('\n'),
  );
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
  };
  const one: Case = {
    title: 'a tiny Llama',
    config: { ...config, num_attention_heads: 4, num_key_value_heads: 2 },
    rows: 'hh',
    dtype: 'float32',
    device: 'cpu',
    pairs: 8,
    tokensPerMicroBatch: 1024,
    steps: Number(stepsText),
    model: folder,
  };
  try {
    const [mine, theirs] = (['ours', 'rival'] as const).map((side) => sideOf(one, side)) as [Side, Side];
    console.log(`| ${one.title} on the CPU | ours | PyTorch |\n|---|---|---|`);
    console.log(`| seconds a step | ${median(mine.seconds).toFixed(3)} | ${median(theirs.seconds).toFixed(3)} |`);
    console.log(
      `| losses | ${[mine, theirs].map(({ losses }) => losses.map((loss) => loss.toFixed(6)).join(', ')).join(' | ')} |`,
    );
    console.log(`| FLOPs of a step | ${stepFlops(one).toExponential(3)} | |`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sideOf(one: Case, side: 'ours' | 'rival'): Side {
  const here = fileURLToPath(import.meta.url);
  const micro = stepPlans(one).map((step) => step.microBatches);
  const [command, args] =
    side === 'ours'
      ? [process.execPath, ['--import', 'tsx', here, stepsText, 'ours', JSON.stringify(one)]]
      : [process.env.REANCHOR_PYTHON ?? 'python3', [join(here, '../gpu_rival.py')]];
  const { stdout, status } = spawnSync(command, args, {
    encoding: 'utf8',
    input: JSON.stringify({ ...one, rows: rowsOf(one).map(plain), micro }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${side} of ${one.title} failed`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Side;
}

const plain = ({ prompt, chosen, rejected }: TokenizedPair) => [[...prompt], [...chosen], [...rejected]];

/** Pairs of random tokens, with the lengths of real ones. */
function rowsOf({ rows, config, pairs }: Case): TokenizedPair[] {
  const file = new URL('gpu-lengths.json', import.meta.url);
  const lengths = (JSON.parse(readFileSync(file, 'utf8')) as Record<Case['rows'], Lengths[]>)[rows].slice(0, pairs);
  let seed = 1;
  const token = () => {
    seed = (seed * 48271) % 2147483647;
    return seed % config.vocab_size;
  };
  return lengths.map(([prompt, chosen, rejected], index) => {
    const ids = (length: number) => Int32Array.from({ length }, token);
    return { index, file: 'random', line: index, prompt: ids(prompt), chosen: ids(chosen), rejected: ids(rejected) };
  }) as TokenizedPair[];
}

/** The same rows in every step, cut into the same micro-batches on both sides. */
function stepPlans(one: Case) {
  const { pairs: batchSize, tokensPerMicroBatch, steps } = one;
  const groups = rowsOf(one).map((pair) => groupTokens(pairGroup(pair)));
  return [...planSteps(groups, { batchSize, tokensPerMicroBatch, epochs: steps + 1, seed: 1, shuffle: false })];
}

const objective = pairObjective(
  pairMethod({
    types: [{ name: 'sigmoid', weight: 1 }],
    beta: 0.1,
    labelSmoothing: 0,
    lengthNormalize: true,
    discopopTau: 0.05,
    clipReferenceMargin: false,
    nllWeight: 0,
  }),
);

function stepFlops(one: Case): number {
  const shape = modelShape(one.config);
  const rows = rowsOf(one);
  const layouts = objective.layOut(stepPlans(one)[0]!, rows).map(({ policy }) => packLayout(policy));
  return layouts.reduce((sum, pack) => sum + 2 * forwardFlops(shape, pack) + backwardFlops(shape, pack), 0);
}

async function ours(one: Case): Promise<Side> {
  const { config, dtype, device, steps, model } = one;
  if (device === 'cpu') setNumThreads(1);
  if (model !== undefined) {
    using start = initModel(config, { seed: 1, dtype });
    await saveModel(start, model);
  }
  using policy =
    model === undefined ? initModel(config, { seed: 1, dtype, device }) : await loadModel(model, { dtype, device });
  using reference = new CopiedReference(policy, { update: 'fixed' });
  using trainer = new Trainer({
    policy,
    reference,
    objective,
    optimizer: { lr: 1e-4, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0 },
    schedule: { type: 'constant', warmupSteps: 0 },
    maxGradNorm: 2,
    totalSteps: steps + 1,
  });
  const rows = rowsOf(one);
  const [seconds, losses]: [number[], number[]] = [[], []];
  for (const plan of stepPlans(one)) {
    const begun = performance.now();
    const { scores } = trainer.step(objective.layOut(plan, rows));
    synchronize(device);
    seconds.push((performance.now() - begun) / 1000);
    losses.push(scores.reduce((sum, { loss }) => sum + loss, 0) / scores.length);
  }
  const peakBytes = device === 'cpu' ? memory().peakRss : cudaMemory(device).peakAllocated;
  return { seconds: seconds.slice(1), losses, peakBytes };
}

/** FLOPs a second of a bfloat16 matrix product, the best of five. */
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

if (mode === 'ours') console.log(JSON.stringify(await ours(JSON.parse(specText!) as Case)));
else if (mode === '--cpu') compareOnCpu();
else if (isCudaAvailable()) compareAll();
else console.log('gpu: libtorch sees no CUDA device here, so that nothing was measured');
