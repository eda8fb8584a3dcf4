// Our side of a training benchmark, a child of train.ts: trains as `reanchor train` does, and waits before every round
// until it is told to go on. Speaks JSON lines; see turns.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory } from '@reanchor/torch';
import { configureProcess, train } from 'reanchor';
import type { TrainCase } from './cases.js';
import { benchRecipe } from './recipe.js';
import { Rounds } from './turns.js';

const { one, model, rows, threads, rounds } = JSON.parse(process.argv[2]!) as {
  one: TrainCase;
  model: string;
  rows: string;
  threads: number;
  rounds: number;
};
const recipe = benchRecipe(one, { model, rows, threads, steps: rounds * one.steps });
const out = mkdtempSync(join(tmpdir(), 'reanchor-bench-'));
const turns = new Rounds(one.steps, () => memory().peakRss);
configureProcess(recipe);
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
