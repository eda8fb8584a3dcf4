// Our side of a training benchmark, a child of train.ts: trains as `reanchor train` does, and waits before every round
// until it is told to go on. Speaks JSON lines; see turns.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory } from '@reanchor/torch';
import { parseRecipe, train } from 'reanchor';
import type { TrainCase } from './cases.js';
import { Rounds } from './turns.js';

const { one, model, rows, threads, rounds } = JSON.parse(process.argv[2]!) as {
  one: TrainCase;
  model: string;
  rows: string;
  threads: number;
  rounds: number;
};
const update = one.update?.tau === 1 ? 'soft' : 'hard';
const recipe = parseRecipe(
  JSON.stringify({
    model,
    device: 'cpu',
    method: one.method,
    ...(one.method !== 'sft' && {
      loss: { beta: 0.1 },
      reference: one.update
        ? { update, ...(update === 'soft' ? { alpha: one.update.alpha } : { tau: one.update.tau }) }
        : { update: 'fixed' },
    }),
    data: { train: rows, maxLength: one.maxLength, shuffle: false },
    batch: { size: one.rows },
    optimizer: { lr: 1e-6, betas: [0.9, 0.95] },
    schedule: { type: 'constant' },
    maxGradNorm: 2,
    steps: rounds * one.steps,
    threads,
  }),
  { file: 'bench' },
);

const out = mkdtempSync(join(tmpdir(), 'reanchor-bench-'));
const turns = new Rounds(one.steps, () => memory().peakRss);
try {
  await train({
    recipe,
    out: join(out, 'run'),
    command: ['bench'],

    onEvent(event) {
      if (event.type === 'start') turns.ready();
      if (event.type === 'step') turns.step(event.metrics);
    },
  });
} finally {
  rmSync(out, { recursive: true });
}
