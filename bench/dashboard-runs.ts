// Run folders as long runs leave them, for measuring the dashboard:
//
//   npx tsx bench/dashboard-runs.ts FOLDER RUNS STEPS [soft]
//
// Numbers are drawn, names and the form of the lines are those of a real run. With `soft` every step has a reference
// update besides, otherwise every 512th.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { encodeEvent, type RunEvent } from '#reanchor/runs/index.js';

const [folder, runs, steps, update] = process.argv.slice(2);
if (!folder || !runs || !steps) {
  console.error('usage: npx tsx bench/dashboard-runs.ts FOLDER RUNS STEPS [soft]');
  process.exit(2);
}
const isSoft = update === 'soft';
const total = Number(steps);
const packages = JSON.parse(readFileSync(new URL('../packages/reanchor/package.json', import.meta.url), 'utf8'));

for (let run = 0; run < Number(runs); run++) {
  const path = join(folder, `run-${String(run).padStart(3, '0')}`);
  mkdirSync(path, { recursive: true });
  const reference = isSoft ? '{ update: soft, alpha: 0.6 }' : '{ update: hard, tau: 512 }';
  const recipe = parseRecipe(
    `{ model: models/m, method: dpo, reference: ${reference}, data: { train: pairs.jsonl }, steps: ${total}, seed: ${run} }`,
    { file: 'bench.yaml', env: {} },
  );
  const begun = Date.parse('2026-01-01T00:00:00Z') + run * 3_600_000;
  const info = {
    time: new Date(begun).toISOString(),
    command: ['reanchor', 'train', 'bench.yaml'],
    recipe,
    seed: run,
    versions: { reanchor: packages.version, node: process.versions.node, torch: '2.13.0' },
    machine: { platform: 'linux', arch: 'x64', cpu: 'a processor', cpus: 2, memory: 2 ** 34 },
  };
  writeFileSync(join(path, 'run.json'), JSON.stringify(info, null, 2));
  const file = openSync(join(path, 'events.jsonl'), 'w');
  let lines: string[] = [];
  const write = (event: RunEvent) => {
    lines.push(encodeEvent(event));
    if (lines.length >= 4096) flush();
  };
  const flush = () => {
    writeSync(file, lines.map((line) => `${line}\n`).join(''));
    lines = [];
  };
  const at = (step: number) => new Date(begun + step * 400).toISOString();
  write({ time: at(0), type: 'start', steps: total, rows: total, validationRows: 0, parameters: 1e6 });
  let version = 0;
  for (let step = 1; step <= total; step++) {
    const isUpdated = isSoft || step % 512 === 0;
    if (isUpdated) {
      version += 1;
      const share = isSoft ? 0.6 : 1;
      const distances = { distanceBefore: Math.random(), distanceAfter: Math.random() };
      write({
        time: at(step),
        type: 'reference',
        step,
        version,
        update: isSoft ? 'soft' : 'hard',
        share,
        ...distances,
      });
    }
    const margin = (isSoft ? 1 : step % 512) / 256 + Math.random() - 0.5;
    const metrics = {
      grad_norm: 1 + Math.random(),
      learning_rate: 1e-6 * (1 - step / (total + 1)),
      loss: Math.log1p(Math.exp(-margin)),
      'rewards/chosen': margin / 2 + Math.random() - 0.5,
      'rewards/rejected': -margin / 2 + Math.random() - 0.5,
      'rewards/margins': margin,
      'rewards/accuracies': Math.round(Math.random() * 8) / 8,
      'logps/chosen': -50 - (10 * step) / total - 5 * Math.random(),
      'logps/rejected': -52 - (30 * step) / total - 5 * Math.random(),
      'logps/accuracies': Math.round(Math.random() * 8) / 8,
      'reference/distance': Math.random(),
      'reference/version': version,
      num_tokens: step * 2048,
      tokens_per_second: 5000 + 100 * Math.random(),
      'memory/peak': 2e9 + step,
      'memory/live_tensors': 104,
    };
    write({ time: at(step), type: 'step', step, epoch: step / total, metrics });
  }
  write({ time: at(total), type: 'end', steps: total, seconds: total * 0.4 });
  flush();
  closeSync(file);
}
