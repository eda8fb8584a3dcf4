// Load and save of a checkpoint of 1 GB, beside safetensors and torch, in turns.
//
//   REANCHOR_PYTHON=python npx tsx bench/checkpoint.ts [rounds = 5]
//
// Prints a Markdown table, medians in seconds. Both load into memory of their own and flush to the disk what they save.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tidy } from '@reanchor/torch';
import { initModel, loadModel, saveModel } from 'reanchor';
import { median } from './turns.js';

const rounds = Number(process.argv[2] ?? 5);
const folder = mkdtempSync(join(tmpdir(), 'reanchor-checkpoint-'));
try {
  {
    using model = initModel(
      {
        model_type: 'llama',
        vocab_size: 32000,
        hidden_size: 1024,
        intermediate_size: 2816,
        num_hidden_layers: 16,
        num_attention_heads: 16,
        max_position_embeddings: 1024,
      },
      { seed: 1, dtype: 'float32' },
    );
    await saveModel(model, folder);
  }
  const python = process.env.REANCHOR_PYTHON;
  const rival = python
    ? spawn(python, [fileURLToPath(new URL('checkpoint.py', import.meta.url)), folder], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
    : undefined;
  const lines = rival && createInterface({ input: rival.stdout! })[Symbol.asyncIterator]();
  const times = { load: [] as number[], save: [] as number[], theirLoad: [] as number[], theirSave: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const begun = performance.now();
    using model = await loadModel(folder, { dtype: 'float32' });
    for (const parameter of model.parameters.values()) tidy(() => parameter.detach().view([-1]).narrow(0, 0, 1).item());
    const loaded = performance.now();
    const out = mkdtempSync(join(tmpdir(), 'reanchor-saved-'));
    await saveModel(model, out);
    const saved = performance.now();
    rmSync(out, { recursive: true });
    rival?.stdin?.write('\n');
    const theirs = lines && (JSON.parse((await lines.next()).value) as { load: number; save: number });
    if (round === 0) continue;
    times.load.push((loaded - begun) / 1000);
    times.save.push((saved - loaded) / 1000);
    if (theirs) times.theirLoad.push(theirs.load);
    if (theirs) times.theirSave.push(theirs.save);
  }
  rival?.stdin?.end();
  console.log('| 1 GB checkpoint | reanchor | safetensors + torch | faster by |\n|---|---|---|---|');
  for (const [name, ours, theirs] of [
    ['load', times.load, times.theirLoad],
    ['save', times.save, times.theirSave],
  ] as const) {
    const [a, b] = [median(ours), median(theirs)];
    console.log(`| ${name} | ${a.toFixed(2)} s | ${b.toFixed(2)} s | ${(b / a).toFixed(2)}x |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
