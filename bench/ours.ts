// Our side of a training benchmark, a child of train.ts: trains as `reanchor train` does, and waits before every round
// until it is told to go on. Speaks JSON lines; see turns.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, setFlushDenormal, setOneDnnProducts } from '@reanchor/torch';
import { configureProcess, openWorld, type ShardMode, train } from 'reanchor';
import type { TrainCase } from './cases.js';
import { benchRecipe } from './recipe.js';
import { Rounds } from './turns.js';

/** What {@link benchTrain} and bench/parallel.ts ask for. */
export interface OursOptions {
  one: TrainCase;
  model: string;
  rows: string;
  threads: number;
  rounds: number;
  /** Where this process stands among those that train together. Rank 0 takes the turns, and the others wait for it. */
  place?: Parameters<typeof openWorld>[0];
  shard?: ShardMode;
  /** Whether numbers next to nothing are taken for 0. Default: as the product does. */
  flush?: boolean;
}

const { one, model, rows, threads, rounds, place, shard, flush } = JSON.parse(process.argv[2]!) as OursOptions;
const recipe = benchRecipe(one, { model, rows, threads, shard, steps: rounds * one.steps });
const out = mkdtempSync(join(tmpdir(), 'reanchor-bench-'));
const turns = new Rounds(one.steps, () => memory().peakRss);
configureProcess(recipe);
if (one.byMkl) setOneDnnProducts(false);
if (flush !== undefined) setFlushDenormal(flush);
try {
  const { device, parallel } = recipe;
  using opened = place && (await openWorld(place, { device, timeoutSeconds: parallel.timeoutSeconds }));
  await train({
    recipe,
    out: join(out, 'run'),
    command: ['bench'],
    world: opened?.world,
    onEvent(event) {
      if (event.type === 'start') turns.ready();
      if (event.type === 'step') turns.step(event.metrics);
    },
  });
} finally {
  rmSync(out, { recursive: true });
}
