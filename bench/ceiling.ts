// How much of what the machine can multiply a training step reaches: FLOPs of a run, as `reanchor estimate` counts
// them, over the seconds of its steps, beside the fastest of several matrix products of 2048 x 2048 (fp32, the same
// threads), measured before and after. The first step does not count.
//
//   npx tsx bench/ceiling.ts [threads = 2] [case ...]
//
// Prints a Markdown table. The steps include all that is not a product: attention's softmax, norms, the optimizer,
// logs.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noGrad, randn, setNumThreads, tidy } from '@reanchor/torch';
import { estimateRun, type Recipe, train } from 'reanchor';
import { trainCases } from './cases.js';
import { benchModel, benchRows } from './materials.js';
import { benchRecipe } from './recipe.js';

const [threads = '2', ...given] = process.argv.slice(2);
const names = given.length > 0 ? given : ['dpo', 'dpo-llama'];

if (names.length > 1) {
  console.log('| case | matmul ceiling, GFLOP/s | step, GFLOP/s | share |\n|---|---|---|---|');
  for (const name of names) {
    const args = ['--import', 'tsx', fileURLToPath(import.meta.url), threads, name];
    const { stdout, status } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' },
    });
    if (status !== 0) throw new Error(`bench/ceiling.ts ${name} failed`);
    console.log(stdout.trim());
  }
} else {
  console.log(await measure(names[0]!));
}

async function measure(name: string): Promise<string> {
  const one = trainCases[name]!;
  const steps = 2 * one.steps;
  setNumThreads(Number(threads));
  const recipe = benchRecipe(one, {
    model: await benchModel(one.model),
    rows: await benchRows(one, one.rows * steps),
    threads: Number(threads),
    steps,
  });
  // The first step takes memory that the others find.
  const work = (await flopsOf(recipe)) - (await flopsOf({ ...recipe, steps: 1 }));
  const out = mkdtempSync(join(tmpdir(), 'reanchor-ceiling-'));
  const before = ceiling();
  let seconds = 0;
  let counted = 0;
  try {
    await train({
      recipe,
      out: join(out, 'run'),
      command: ['bench'],
      onEvent(event) {
        // Tokens are counted from the start of the run, their rate since the last event.
        if (event.type !== 'step') return;
        const { num_tokens: tokens, tokens_per_second: rate } = event.metrics;
        if (counted > 0) seconds += (tokens! - counted) / rate!;
        counted = tokens!;
      },
    });
  } finally {
    rmSync(out, { recursive: true });
  }
  const most = Math.max(before, ceiling());
  const reached = work / seconds / 1e9;
  return `| ${one.title}, ${one.model} | ${most.toFixed(0)} | ${reached.toFixed(0)} | ${((100 * reached) / most).toFixed(0)} % |`;
}

async function flopsOf(recipe: Recipe): Promise<number> {
  const { flops } = await estimateRun({ recipe });
  return Object.values(flops).reduce((a, b) => a + b, 0);
}

/** The fastest of 20 products, GFLOP/s. */
function ceiling(): number {
  const n = 2048;
  return tidy(() =>
    noGrad(() => {
      const [a, b] = [randn([n, n]), randn([n, n])];
      const rates = Array.from({ length: 20 }, () =>
        tidy(() => {
          const begun = performance.now();
          a.matmul(b);
          return (2 * n ** 3) / (performance.now() - begun) / 1e6;
        }),
      );
      return Math.max(...rates);
    }),
  );
}
