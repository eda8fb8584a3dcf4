/**
 * Cost of one operator call on tiny tensors, against Python's torch on the same machine in the same run.
 *
 *   REANCHOR_PYTHON=/path/to/python npx tsx bench/op-overhead.ts [rounds] [part of a case's name]
 *
 * Each side is a process of its own with one thread. They take turns case by case (A B, then B A, ...), so that a
 * change in the machine's speed meets both. The table holds the medians over the rounds and the best round, since noise
 * only adds. Processor time is counted, not the clock's, so that other work on the machine weighs less. Results are
 * freed as a user would: by a scope around 20 calls here (about what a module makes), by reference counts in Python.
 * op_overhead.py must list the same cases.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as torch from '@reanchor/torch';

const CALLS = 1000;
const CALLS_PER_SCOPE = 20;

/** Microseconds of processor time per call. */
function time(run: () => void): number {
  const begin = process.cpuUsage();
  for (let i = 0; i < CALLS; i += CALLS_PER_SCOPE) {
    torch.tidy(() => {
      for (let k = 0; k < CALLS_PER_SCOPE; k++) run();
    });
  }
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / CALLS;
}

const median = (values: number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
};

function makeCases(): Record<string, () => unknown> {
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
  return {
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
}

/** Answers each line, the name of a case, with the time of a call. The first line printed is the list of names. */
async function serve(): Promise<void> {
  const cases = makeCases();
  console.log(JSON.stringify(Object.keys(cases)));
  for await (const name of createInterface({ input: process.stdin })) {
    console.log(time(cases[name] as () => unknown));
  }
}

/** A process that runs serve(), here or in Python: its case names, and a function that asks for one time. */
async function start(command: string, args: string[]) {
  const env = { ...process.env, OMP_NUM_THREADS: '1', OMP_WAIT_POLICY: 'PASSIVE' };
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ${args.join(' ')} ended`);
    return value;
  };
  const names = JSON.parse(await next()) as string[];
  const ask = async (name: string): Promise<number> => {
    child.stdin.write(`${name}\n`);
    return Number(await next());
  };
  return { names, ask, stop: () => child.stdin.end() };
}

async function main(): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const rounds = Number(process.argv[2] ?? 101);
  const python = process.env.REANCHOR_PYTHON ?? 'python3';
  const ours = await start(process.execPath, ['--import', 'tsx', self, '--serve']);
  const theirs = await start(python, [fileURLToPath(new URL('op_overhead.py', import.meta.url))]);
  if (ours.names.join() !== theirs.names.join()) throw new Error('the two sides list different cases');
  console.log('| microseconds a call, 1 thread | reanchor | Python | ratio | best: reanchor | Python | ratio |');
  console.log('|---|---|---|---|---|---|---|');
  for (const name of ours.names.filter((name) => name.includes(process.argv[3] ?? ''))) {
    const times = { ours: [] as number[], theirs: [] as number[] };
    for (let round = -3; round < rounds; round++) {
      const turns = [
        async () => times.ours.push(await ours.ask(name)),
        async () => times.theirs.push(await theirs.ask(name)),
      ];
      if (round % 2 !== 0) turns.reverse();
      for (const turn of turns) await turn();
      if (round < 0) times.ours.length = times.theirs.length = 0; // warm-up
    }
    const columns = [median, (list: number[]) => Math.min(...list)].map((of) => {
      const [a, b] = [of(times.ours), of(times.theirs)];
      return `${a.toFixed(2)} | ${b.toFixed(2)} | ${(a / b).toFixed(2)}`;
    });
    console.log(`| ${name} | ${columns.join(' | ')} |`);
  }
  ours.stop();
  theirs.stop();
}

await (process.argv[2] === '--serve' ? serve() : main());
