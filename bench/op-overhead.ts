/**
 * Cost of one operator call on tiny tensors, against Python's torch on the same machine in the same run.
 *
 *   REANCHOR_PYTHON=/path/to/python npx tsx bench/op-overhead.ts [rounds]
 *
 * The two sides run in turns (A B A B ...), each in a process of its own with one thread; the table holds the medians over all
 * rounds. Processor time is counted, not the clock's, so that other work on the machine weighs less. Results are freed as a user would: by a scope around 100 calls here, by reference counts in Python.
 * op_overhead.py must list the same cases.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as torch from '@reanchor/torch';

const CALLS_PER_SCOPE = 100;

type Times = Record<string, number>;

/** Microseconds of processor time per call: the median of `repeats` timings of `calls` calls. */
function time(run: () => void, calls: number, repeats: number): number {
  const samples: number[] = [];
  for (let r = -2; r < repeats; r++) {
    const begin = process.cpuUsage();
    for (let i = 0; i < calls; i += CALLS_PER_SCOPE) {
      torch.tidy(() => {
        for (let k = 0; k < CALLS_PER_SCOPE; k++) run();
      });
    }
    const { user, system } = process.cpuUsage(begin);
    if (r >= 0) samples.push((user + system) / calls);
  }
  return median(samples);
}

const median = (values: number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
};

function measure(): Times {
  torch.setNumThreads(1);
  const one = torch.ones([1]);
  const leaf = torch.ones([1]).requiresGrad_();
  const row = torch.ones([64]);
  const square = torch.ones([8, 8]);
  const batch = torch.ones([1, 2, 8, 8]);
  const index = torch.tensor([1, 3, 5], { dtype: 'int64' });
  const many = Array.from({ length: 20 }, () => torch.ones([8]));
  const more = Array.from({ length: 20 }, () => torch.ones([8]));
  const weight = torch.ones([8]);
  const four = [square, square, square, square];
  const cases: Record<string, () => unknown> = {
    add: () => one.add(one),
    'add, requires_grad': () => leaf.add(one),
    'mul by a number': () => one.mul(2),
    'view [4, 16]': () => row.view([4, 16]),
    narrow: () => row.narrow(0, 8, 16),
    transpose: () => square.transpose(0, 1),
    'addmm 8x8': () => square.addmm(square, square),
    'linear 8x8': () => torch.linear(square, square),
    'sum(dim=[1])': () => square.sum([1]),
    'sum()': () => square.sum(),
    softmax: () => square.softmax(-1),
    silu: () => square.silu(),
    rms_norm: () => torch.rmsNorm(square, [8], weight, 1e-5),
    'cat of 4': () => torch.cat(four),
    'stack of 4': () => torch.stack(four),
    index_select: () => square.indexSelect(0, index),
    embedding: () => torch.embedding(square, index),
    'mul_ (in place)': () => one.mul_(one),
    'foreach_add_ of 20': () => torch.foreachAdd_(many, more),
    'foreach_mul_ of 20 by a number': () => torch.foreachMul_(many, 1),
    'attention 8x8': () => torch.scaledDotProductAttention(batch, batch, batch, { isCausal: true }),
    'to(dtype)': () => square.to('float64'),
    'item()': () => one.item(),
    shape: () => square.shape,
    'add + sum + backward': () => leaf.add(one).sum().backward(),
  };
  const times: Times = {};
  for (const [name, run] of Object.entries(cases)) times[name] = time(run, 5_000, 15);
  return times;
}

function child(command: string, args: string[]): Times {
  const env = { ...process.env, OMP_NUM_THREADS: '1', OMP_WAIT_POLICY: 'PASSIVE' };
  const run = spawnSync(command, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'inherit'] });
  if (run.status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
  return JSON.parse(run.stdout.trim().split('\n').at(-1) as string) as Times;
}

function main(): void {
  const self = fileURLToPath(import.meta.url);
  const python = process.env.REANCHOR_PYTHON ?? 'python3';
  const rounds = Number(process.argv[2] ?? 4);
  const ours: Times[] = [];
  const theirs: Times[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(child(process.execPath, ['--import', 'tsx', self, '--child']));
    theirs.push(child(python, [fileURLToPath(new URL('op_overhead.py', import.meta.url))]));
  }
  console.log('| microseconds a call, 1 thread | reanchor | Python | ratio |\n|---|---|---|---|');
  for (const name of Object.keys(ours[0] as Times)) {
    const mine = median(ours.map((times) => times[name] as number));
    const python = median(theirs.map((times) => times[name] as number));
    console.log(`| ${name} | ${mine.toFixed(2)} | ${python.toFixed(2)} | ${(mine / python).toFixed(2)} |`);
  }
}

if (process.argv[2] === '--child') console.log(JSON.stringify(measure()));
else main();
