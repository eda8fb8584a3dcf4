// Checks what several GPUs of this machine come to, beside what is expected of them, and exits with 1 on a miss:
//
//   npx tsx scripts/check-gpus.ts [--processes N] [--size 100m|1b|8b] [--model FOLDER] [--steps N] [--device cuda|cpu]
//
// Equality of all modes of parallel.shard in fp32 and runs that go on in another division take a random Llama of 100 M
// parameters; memory and tokens per second, in bf16, one of --size (1b when left out) or the model of --model. With
// --device cpu all take a tiny model, by gloo, in fp32, and speed is not judged. Needs the build (`npm run build`).
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { backends, deviceCount, noGrad, tidy } from '@reanchor/torch';
import { estimateRun, loadModel, modeOf, parseRecipe, shardModes, totalMemory } from 'reanchor';
import { table } from '#reanchor/cli/terminal.js';
import { readEvents } from '#reanchor/runs/index.js';
import { median } from '../bench/turns.js';
import { fixtures, repositoryRoot } from '../tests/support/repository.js';
import { sizedLlama } from '../tests/support/sized-llama.js';

const sizes = {
  tiny: { hidden_size: 128, intermediate_size: 256, num_hidden_layers: 4, num_attention_heads: 4, vocab_size: 512 },
  '100m': {
    hidden_size: 768,
    intermediate_size: 2048,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    vocab_size: 32000,
  },
  '1b': {
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 22,
    num_attention_heads: 32,
    vocab_size: 32000,
  },
  '8b': {
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    vocab_size: 128256,
  },
} as const;
type Size = keyof typeof sizes;

const { values: flags } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    processes: { type: 'string' },
    size: { type: 'string' },
    model: { type: 'string' },
    steps: { type: 'string' },
  },
});
const onGpu = flags.device === 'cuda';
const processes = Number(flags.processes ?? (onGpu ? deviceCount() : 2));
const size = (flags.size ?? (onGpu ? '1b' : 'tiny')) as Size;
refuseUnless(['cuda', 'cpu'].includes(flags.device), `--device is cuda or cpu, not ${flags.device}`);
refuseUnless(size in sizes, `--size is one of ${Object.keys(sizes).join(', ')}, not ${size}`);
refuseUnless(!onGpu || backends().includes('nccl'), 'the addon has no NCCL: npx reanchor doctor says why');
refuseUnless(
  !onGpu || deviceCount() >= processes,
  `${processes} processes need as many GPUs: there are ${deviceCount()}`,
);
refuseUnless(
  Number.isInteger(processes) && processes > 1,
  `--processes is 2 or more; libtorch sees ${deviceCount()} GPUs`,
);

interface Check {
  what: string;
  measured: string;
  expected: string;
  /** Undefined where it is told and not judged. */
  isMet: boolean | undefined;
}
const checks: Check[] = [];
let recipes = 0;
const check = (what: string, measured: string, expected: string, isMet?: boolean) => {
  checks.push({ what, measured, expected, isMet });
  const verdict = isMet === undefined ? 'not judged' : isMet ? 'met' : 'MISSED';
  console.error(`${what}: ${measured} (${expected}): ${verdict}`);
};

const folder = mkdtempSync(join(tmpdir(), 'check-gpus-'));
try {
  const small = await randomLlama(onGpu ? '100m' : 'tiny');
  await checkNumbers(small);
  const model = flags.model ?? (size === (onGpu ? '100m' : 'tiny') ? small : await randomLlama(size));
  await checkCosts(model);
} finally {
  rmSync(folder, { recursive: true });
}
const verdictOf = ({ isMet }: Check) => (isMet === undefined ? '' : isMet ? 'met' : 'MISSED');
const rows = checks.map((one) => [one.what, one.measured, one.expected, verdictOf(one)]);
for (const line of table([['what', 'measured', 'expected', 'verdict'], ...rows], 'left')) console.log(line);
const missed = checks.filter(({ isMet }) => isMet === false).length;
console.log(`${flags.device}, ${processes} processes: ${missed === 0 ? 'all is met' : `${missed} missed`}`);
process.exitCode = missed === 0 ? 0 : 1;

/** Every mode, and runs that were stopped and went on in another division, come to the numbers of one process. */
async function checkNumbers(model: string): Promise<void> {
  const recipeOf = (shard: string) => ({
    ...recipe(model, { maxLength: 64, size: 2 * processes + 1, tokens: 300, steps: 16 }),
    ...{ precision: 'fp32', deterministic: true, optimizer: { lr: 1e-4, weightDecay: 0.1 }, parallel: { shard } },
  });
  const alone = await trained(recipeOf('none'), 1);
  for (const shard of shardModes) {
    const run = await trained(recipeOf(shard), processes);
    const { numbers, weights } = await apart(run, alone);
    check(`${shard}: numbers of steps`, numbers.toExponential(1), 'those of one process within 1e-5', numbers <= 1e-5);
    check(`${shard}: final weights`, weights.toExponential(1), 'the same', weights <= 1e-5);
  }
  const plans = [
    [1, 'none', processes, 'gradients'],
    [processes, 'parameters', 1, 'none'],
    [processes, 'gradients', processes, 'parameters'],
  ] as const;
  for (const [before, divided, after, then] of plans) {
    const what = `stopped on ${before} (${divided}), went on on ${after} (${then})`;
    const out = await trained(recipeOf(divided), before, { stop: true });
    const { numbers, weights } = await apart(await trained(recipeOf(then), after, { resume: out }), alone);
    const most = Math.max(numbers, weights);
    check(what, most.toExponential(1), 'one process without a stop within 1e-5', most <= 1e-5);
  }
}

/** What each mode holds and how fast it is. */
async function checkCosts(model: string): Promise<void> {
  const steps = Number(flags.steps ?? (onGpu ? 12 : 4));
  const sizesOf = onGpu
    ? { maxLength: 1024, size: 8 * processes, tokens: 8192, steps }
    : { maxLength: 64, size: 4 * processes, tokens: 300, steps };
  const speeds = new Map<string, number>();
  for (const shard of shardModes) {
    const keys = {
      ...recipe(model, sizesOf),
      ...{ precision: onGpu ? 'bf16' : 'fp32', activationCheckpointing: true, parallel: { shard } },
    };
    const { worlds } = await estimateRun({ recipe: parseRecipe(JSON.stringify(keys), { file: 'recipe' }), processes });
    const expected = modeOf(worlds[0]!, shard);
    const { held, peak, out } = await measuredRun(keys);
    // The workspaces of cuBLAS and NCCL are in the allocator; the rows of a batch anywhere.
    const slack = onGpu ? 100e6 : 1e5;
    const most = totalMemory({ ...expected.memory, process: 0 });
    const isHeld = Math.abs(held - expected.held) <= 0.05 * expected.held + slack;
    check(`${shard}: held between steps`, bytes(held), `${bytes(expected.held)}, within 5 %`, isHeld);
    const isBelow = peak <= 1.15 * most + slack;
    check(`${shard}: at the peak`, bytes(peak), `at most ${bytes(most)} and 15 %`, isBelow);
    speeds.set(
      shard,
      median(
        stepsOf(out)
          .flatMap(({ metrics }) => metrics.tokens_per_second ?? [])
          .slice(2),
      ),
    );
    check(`${shard}: tokens per second`, speeds.get(shard)!.toFixed(0), '');
  }
  const ratio = speeds.get('parameters')! / speeds.get('gradients')!;
  const isMet = onGpu ? ratio >= 0.9 : undefined;
  check('ZeRO-3 to ZeRO-2, tokens per second', ratio.toFixed(2), 'at least 0.90 over NVLink', isMet);
}

interface StepSizes {
  maxLength: number;
  size: number;
  tokens: number;
  steps: number;
}

function recipe(model: string, { maxLength, size, tokens, steps }: StepSizes) {
  return {
    ...{ model, method: 'dpo', reference: { update: 'soft', alpha: 0.3 }, device: flags.device, steps, logEvery: 1 },
    ...{ data: { train: pairsOf(4 * maxLength), maxLength }, batch: { size, tokensPerMicroBatch: tokens }, seed: 1 },
    ...(!onGpu && { threads: 1 }),
  };
}

/** Pairs whose answers have so many characters, from the fixtures' sentences. */
function pairsOf(characters: number): string {
  const file = join(folder, `pairs-${characters}.jsonl`);
  if (existsSync(file)) return file;
  const given = readFileSync(join(fixtures, 'text/pairs.jsonl'), 'utf8').trim().split('\n');
  const sentences = given.map((line) => String(JSON.parse(line).chosen).split('Assistant:').at(-1)!);
  const answer = (first: number) => {
    let text = '';
    for (let i = first; text.length < characters; i++) text += sentences[i % sentences.length];
    return text;
  };
  const rows = sentences.map((prompt, i) => ({ prompt, chosen: answer(i + 1), rejected: answer(7 * i + 3) }));
  writeFileSync(file, `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`);
  return file;
}

async function randomLlama(size: Size): Promise<string> {
  const { hidden_size, num_attention_heads: heads } = sizes[size];
  const rest = { head_dim: hidden_size / heads, num_key_value_heads: heads / 4, max_position_embeddings: 2048 };
  const path = join(folder, size);
  await sizedLlama(path, { ...sizes[size], ...rest });
  return path;
}

/** Trains by the command and returns the run folder. `stop` asks it to stop after its first steps. */
async function trained(keys: object, count: number, { stop = false, resume = '' } = {}): Promise<string> {
  const out = resume || mkdtempSync(join(folder, 'run-'));
  const bin = join(repositoryRoot, 'packages/reanchor/bin/reanchor.js');
  const goesOn = resume === '' ? [] : ['--resume'];
  const running = run([bin, 'train', recipeFile(keys), '--out', out, '--processes', String(count), ...goesOn]);
  if (stop) {
    while (!running.isOver() && stepsOf(out).length === 0) await sleep(5);
    running.child.kill('SIGTERM');
  }
  const { code, errors } = await running.ended;
  if (code === (stop ? 130 : 0)) return out;
  throw new Error(stop && code === 0 ? 'a run had ended before it was asked to stop' : errors);
}

async function measuredRun(keys: object): Promise<{ held: number; peak: number; out: string }> {
  const out = mkdtempSync(join(folder, 'run-'));
  const script = join(repositoryRoot, 'scripts/measured-run.ts');
  const { code, text, errors } = await run(['--import', 'tsx', script, recipeFile(keys), out, String(processes)]).ended;
  if (code !== 0) throw new Error(errors);
  return { ...JSON.parse(text.trim().split('\n').at(-1)!), out };
}

function run(args: readonly string[]) {
  const child = spawn(process.execPath, args, { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'pipe'] });
  let [text, errors, over] = ['', '', false];
  child.stdout.on('data', (piece) => (text += String(piece)));
  child.stderr.on('data', (piece) => (errors += String(piece)));
  const ended = new Promise<{ code: number | null; text: string; errors: string }>((heard) =>
    child.once('close', (code) => {
      over = true;
      heard({ code, text, errors });
    }),
  );
  return { child, ended, isOver: () => over };
}

function recipeFile(keys: object): string {
  const file = join(folder, `recipe-${recipes++}.yaml`);
  writeFileSync(file, JSON.stringify(keys));
  return file;
}

function stepsOf(out: string) {
  const file = join(out, 'events.jsonl');
  if (!existsSync(file)) return [];
  return readEvents(file).events.flatMap((event) => (event.type === 'step' ? [event] : []));
}

/** How far two runs are apart: in the numbers of their steps, relatively above 1, and in the norm of their weights. */
async function apart(one: string, other: string): Promise<{ numbers: number; weights: number }> {
  const [steps, others] = [stepsOf(one), stepsOf(other)];
  let numbers = steps.length === others.length ? 0 : Number.POSITIVE_INFINITY;
  for (const [i, { metrics }] of steps.entries()) {
    for (const [name, value] of Object.entries(metrics)) {
      // Accuracies count margins, which are compared themselves.
      if (/^memory|tokens_per_second|accuracies$/.test(name)) continue;
      const expected = others[i]?.metrics[name] ?? Number.POSITIVE_INFINITY;
      numbers = Math.max(numbers, Math.abs(value - expected) / Math.max(1, Math.abs(expected)));
    }
  }
  using model = await loadModel(join(one, 'final'), { dtype: 'float32' });
  using expected = await loadModel(join(other, 'final'), { dtype: 'float32' });
  let [difference, norm] = [0, 0];
  for (const [name, weight] of model.parameters) {
    tidy(() =>
      noGrad(() => {
        const wanted = expected.parameters.get(name)!;
        difference += weight.sub(wanted).linalgVectorNorm(2).item() ** 2;
        norm += wanted.linalgVectorNorm(2).item() ** 2;
      }),
    );
  }
  return { numbers, weights: Math.sqrt(difference / norm) };
}

function bytes(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} GB` : `${(count / 1e6).toFixed(2)} MB`;
}

function refuseUnless(isRight: boolean, words: string): void {
  if (isRight) return;
  console.error(words);
  process.exit(2);
}
