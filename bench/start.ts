// Time from the command to the first training step: `reanchor train` on the Pythia-70M shape and 32 HH rows, until the
// moment at which its first step begins, which the run's own events tell. The best and the median of five, after one to
// warm the caches of the system.
//
//   npx tsx bench/start.ts [rounds = 5]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readEvents } from '#reanchor/runs/index.js';
import { trainCases } from './cases.js';
import { benchModel, benchRows } from './materials.js';
import { median } from './turns.js';

const rounds = Number(process.argv[2] ?? 5);
const bin = fileURLToPath(new URL('../packages/reanchor/bin/reanchor.js', import.meta.url));
const model = await benchModel('pythia-70m');
const rows = await benchRows(trainCases.dpo!, 32);
const folder = mkdtempSync(join(tmpdir(), 'reanchor-start-'));
const seconds: number[] = [];
try {
  const recipe = join(folder, 'recipe.yaml');
  writeFileSync(
    recipe,
    JSON.stringify({ model, method: 'dpo', data: { train: rows, maxLength: 512 }, batch: { size: 4 }, steps: 1 }),
  );
  for (let round = 0; round <= rounds; round++) {
    const out = join(folder, String(round));
    const begun = Date.now();
    const { status } = spawnSync(process.execPath, [bin, 'train', recipe, '--out', out], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) throw new Error(`reanchor train ended with ${status}`);
    const { events } = readEvents(join(out, 'events.jsonl'));
    const step = events.find((event) => event.type === 'step')!;
    const stepSeconds = step.metrics.num_tokens! / step.metrics.tokens_per_second!;
    if (round > 0) seconds.push((Date.parse(step.time) - begun) / 1000 - stepSeconds);
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log('| command to first step | best | median |\n|---|---|---|');
console.log(`| reanchor train, 70M | ${Math.min(...seconds).toFixed(2)} s | ${median(seconds).toFixed(2)} s |`);
