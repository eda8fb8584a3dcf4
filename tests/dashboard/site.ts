// A folder of runs made by real trainings of the tiny model, and what stands beside them.
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRecipe, type RunEvent } from '../../packages/reanchor/src/runs/index.js';
import { curves, runToy, summarise, toyVariants } from '../../packages/reanchor/src/toy/index.js';
import { train } from '../../packages/reanchor/src/train/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

export const secret = 'what nobody may see';

export const winrate = {
  kind: 'winrate',
  time: '2026-01-02T03:04:05.678Z',
  judge: 'a judge, version 1',
  models: ['sft', 'dpo', 'tr-dpo'],
  pairs: [
    { a: 'dpo', b: 'sft', wins: 60, ties: 10, losses: 30, winRate: 0.65, low: 0.56, high: 0.73 },
    { a: 'tr-dpo', b: 'sft', wins: 70, ties: 10, losses: 20, winRate: 0.75, low: 0.66, high: 0.82 },
    { a: 'tr-dpo', b: 'dpo', wins: 45, ties: 10, losses: 45, winRate: 0.5, low: 0.41, high: 0.59 },
  ],
  rows: Array.from({ length: 25 }, (_, i) => ({
    prompt: `Prompt ${i}`,
    completions: { sft: `sft wrote ${i}`, dpo: `dpo wrote ${i}`, 'tr-dpo': `tr-dpo wrote ${i} <b>&</b>` },
    verdicts: [
      { a: 'dpo', b: 'sft', winner: (['a', 'b', 'tie'] as const)[i % 3]!, reason: `because ${i}` },
      { a: 'tr-dpo', b: 'sft', winner: 'a' },
    ],
  })),
};

/** Trains the tiny model; the probe's numbers stand for measurements that take longer. */
export function trainTiny(
  out: string,
  reference: string,
  more: { steps?: number; onEvent?: (event: RunEvent) => void } = {},
) {
  const recipe = parseRecipe(
    `{ model: ${tinyModel}, method: dpo, reference: ${reference}, batch: { size: 8 }, optimizer: { lr: 1.0e-3 }, steps: ${more.steps ?? 10},
       data: { train: ${tinyPairs}, validation: 16, maxLength: 96 }, evaluate: { every: 4 } }`,
    { file: 'tiny.yaml', env: {} },
  );
  return train({
    recipe,
    out,
    command: ['reanchor', 'train', 'tiny.yaml'],
    onEvent: more.onEvent,
    probe: {
      every: 5,
      measure: async (_, step) => ({
        metrics: { 'kl/initial': step / 2, 'gold/reward': Math.sqrt(step) },
        samples: [{ prompt: 'Once upon a time', completion: ` there was step ${step}` }],
      }),
    },
  });
}

/** Makes the folder; returns it. */
export async function makeSite(): Promise<string> {
  const base = mkdtempSync(join(tmpdir(), 'reanchor-dashboard-'));
  const runs = join(base, 'runs');
  mkdirSync(runs);
  await trainTiny(join(runs, 'hard'), '{ update: hard, tau: 4 }');
  await trainTiny(join(runs, 'group/soft'), '{ update: soft, alpha: 0.6 }');
  await trainTiny(join(base, 'outside', secret), '{ update: fixed }', { steps: 1 });
  symlinkSync(join(base, 'outside'), join(runs, 'link'));
  writeFileSync(join(runs, 'winrate.json'), JSON.stringify(winrate));
  const toy = await runToy({ seeds: 3, steps: 40, method: 'dpo', beta: 0.5, variants: toyVariants.few });
  const result = {
    method: 'dpo',
    beta: 0.5,
    seeds: 3,
    steps: 40,
    summaries: toy.map(summarise),
    curves: toy.map((run) => ({ variant: run.variant.name, ...curves(run) })),
  };
  writeFileSync(join(runs, 'toy.json'), JSON.stringify(result));
  return runs;
}
