// Time from the command to the first training step: `reanchor train` on the Pythia-70M shape and 32 HH rows, until the run
// says that it starts. The best and the median of five, after one to warm the caches of the system.
//
//   npx tsx bench/start.ts [rounds = 5]
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
    const begun = performance.now();
    const child = spawn(process.execPath, [bin, 'train', recipe, '--out', join(folder, String(round))], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((done, fail) => {
      let said = '';
      child.stderr.on('data', (chunk) => {
        said += chunk;
        if (said.includes('training on')) done();
      });
      child.on('exit', () => fail(new Error(said)));
    });
    if (round > 0) seconds.push((performance.now() - begun) / 1000);
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    await new Promise((done) => child.on('close', done));
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log('| command to first step | best | median |\n|---|---|---|');
console.log(`| reanchor train, 70M | ${Math.min(...seconds).toFixed(2)} s | ${median(seconds).toFixed(2)} s |`);
