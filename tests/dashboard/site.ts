// A folder of runs made by real trainings of the tiny model, and what stands beside them.
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { curves, runToy, summarise, toyVariants } from '#reanchor/toy/index.js';
import { tinyModel, tinyPairs } from '../support/training.js';

export const secret = 'what nobody may see';

const pair = (model: string, other: string, wins: number, winRate: number, low: number, high: number) => ({
  model,
  other,
  n: 100,
  wins,
  ties: 10,
  losses: 90 - wins,
  winRate,
  bootstrap: { estimate: winRate, low, high, p: 0.01 },
  longerWins: null,
});

/** As `reanchor eval winrate --json` writes it. */
const winrate = {
  evaluation: 'winrate',
  reanchor: '0.1.0',
  settings: { model: 'a judge', templates: { helpful: '123' }, temperature: 0, prompts: 100, level: 0.95 },
  names: ['sft', 'dpo', 'tr-dpo'],
  pairs: [
    {
      ...pair('dpo', 'sft', 60, 0.65, 0.56, 0.73),
      rows: Array.from({ length: 25 }, (_, i) => ({
        prompt: `Prompt ${i}`,
        answer: `dpo wrote ${i}`,
        other: `sft wrote ${i} <b>&</b>`,
        outcome: (['win', 'loss', 'tie', null] as const)[i % 4],
        agree: i % 4 !== 2,
        verdicts: [
          { first: 1, label: 'A', text: `because ${i}` },
          { first: 0, label: 'B' },
        ],
      })),
    },
    pair('tr-dpo', 'sft', 70, 0.75, 0.66, 0.82),
    pair('tr-dpo', 'dpo', 45, 0.5, 0.41, 0.59),
  ],
};

/**
 * Trains the tiny model; the probe's numbers stand for measurements that take longer. With `generate`, as in a
 * recipe, the model's own answers are measured instead.
 */
export function trainTiny(
  out: string,
  reference: string,
  more: { steps?: number; lr?: string; generate?: string; onEvent?: (event: RunEvent) => void } = {},
) {
  const recipe = parseRecipe(
    `{ model: ${tinyModel}, method: dpo, reference: ${reference}, batch: { size: 8 }, optimizer: { lr: ${more.lr ?? '1.0e-3'} }, steps: ${more.steps ?? 10},
       data: { train: ${tinyPairs}, validation: 16, maxLength: 96 }, evaluate: { every: 4${more.generate ? `, generate: ${more.generate}` : ''} } }`,
    { file: 'tiny.yaml', env: {} },
  );
  return train({
    recipe,
    out,
    command: ['reanchor', 'train', 'tiny.yaml'],
    onEvent: more.onEvent,
    probe: more.generate
      ? undefined
      : {
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
