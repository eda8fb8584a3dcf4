// A training run in a process of its own: prints what the process held. Run with tsx; arguments: a recipe as JSON, and
// the run folder to make.
import { memory, ones } from '@reanchor/torch';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';

/** Bytes, and how much the run did. */
export interface ProcessReport {
  /** Resident once libtorch was loaded. */
  loaded: number;
  /** Resident at most, until the last step. */
  peak: number;
  /** Of tensors at most. */
  tensors: number;
  steps: number;
  updates: number;
}

async function main(text: string, out: string): Promise<ProcessReport> {
  ones([1]).dispose();
  const loaded = memory().rss;
  const counts = { step: 0, reference: 0 };
  let peak = 0;
  const onEvent = ({ type }: RunEvent) => {
    if (type !== 'step' && type !== 'reference') return;
    counts[type] += 1;
    peak = memory().peakRss;
  };
  await train({ recipe: parseRecipe(text, { file: 'recipe.json', env: {} }), out, command: [], onEvent });
  return { loaded, peak, tensors: memory().peakTensorBytes, steps: counts.step, updates: counts.reference };
}

// Only where it is the program that was started.
const [, program = '', text = '', out = ''] = process.argv;
if (program.endsWith('train-process.ts')) {
  main(text, out).then(
    (report) => console.log(JSON.stringify(report)),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
