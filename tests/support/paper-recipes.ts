/** The runs of the paper, as the texts of their recipes: each extends parts and says what it is and takes. */
import { join } from 'node:path';
import {
  estimateRun,
  flopsPerSecond,
  links,
  type RunEstimate,
  totalMemory,
  totalSent,
} from '#reanchor/estimate/index.js';
import { modelsNamed, readRecipe } from '#reanchor/recipe/index.js';
import { repositoryRoot } from './repository.js';

/** The devices of the paper: 8 A100s, of 80 GB. */
const paperProcesses = 8;
export const paperBytes = 80e9;

interface Setting {
  /** Part of the file name. */
  name: string;
  title: string;
  /** Files of recipes/paper/parts. */
  parts: string[];
  /** What is trained on before, and on what; undefined where the published model itself is aligned. */
  sft: { part: string; title: string } | undefined;
  preference: { part: string; title: string };
}

const pythia = (size: string, data: 'hh' | 'tldr'): Setting => ({
  name: `pythia-${size}-${data}`,
  title: `Pythia ${size.toUpperCase()}`,
  parts: ['training', `pythia-${size}`],
  sft: {
    part: `${data}-sft`,
    title: data === 'hh' ? 'the chosen answers of Anthropic-HH' : 'preferred Reddit TL;DR summaries',
  },
  preference: { part: `${data}-preference`, title: data === 'hh' ? 'Anthropic-HH' : 'Reddit TL;DR' },
});

const settings: Setting[] = [
  ...['2.8b', '6.9b', '12b'].flatMap((size) => [pythia(size, 'hh'), pythia(size, 'tldr')]),
  {
    name: 'llama3-8b-base',
    title: 'Llama 3 8B',
    parts: ['training', 'llama3-8b-base'],
    sft: { part: 'ultrachat-sft', title: 'UltraChat-200k' },
    preference: { part: 'ultrafeedback-preference', title: 'UltraFeedback' },
  },
  {
    name: 'llama3-8b-instruct',
    title: 'Llama 3 8B Instruct',
    parts: ['training', 'llama3-8b-instruct'],
    sft: undefined,
    preference: { part: 'llama3-ultrafeedback-preference', title: 'on-policy answers to UltraFeedback prompts' },
  },
];

const methods = ['dpo', 'ipo', 'kto'] as const;
const references = ['', 'soft', 'hard'] as const;

/** File names and texts of all recipes, without what is estimated of them: see {@link withEstimate}. */
export function paperRecipes(): Map<string, string> {
  return new Map(
    settings.flatMap((setting) => [
      ...(setting.sft
        ? [recipe(setting, `${setting.name}-sft`, `SFT of ${setting.title} on ${setting.sft.title}.`)]
        : []),
      ...methods.flatMap((method) => references.map((reference) => preference(setting, method, reference))),
    ]),
  );
}

function preference(setting: Setting, method: string, reference: '' | 'soft' | 'hard'): [string, string] {
  const isLlama = setting.name.startsWith('llama');
  const how = { '': '', soft: ', soft update after every step', hard: ', hard update every tau steps' }[reference];
  const name = [setting.name, reference && 'tr', method, reference].filter(Boolean).join('-');
  const title = `${reference ? 'TR-' : ''}${method.toUpperCase()} of ${setting.title} on ${setting.preference.title}${how}.`;
  const parts = [
    setting.preference.part,
    `${method}${isLlama ? '-llama' : ''}`,
    ...(reference ? [`${reference}${isLlama && reference === 'hard' ? '-llama' : ''}`] : []),
  ];
  return recipe(setting, name, title, parts);
}

function recipe(setting: Setting, name: string, title: string, preferenceParts?: string[]): [string, string] {
  const parts = [...setting.parts, ...(preferenceParts ?? ['sft', setting.sft!.part])];
  const start = preferenceParts && setting.sft ? `runs/${setting.name}-sft` : undefined;
  return [
    `${name}.yaml`,
    [
      '# yaml-language-server: $schema=../../packages/reanchor/schemas/recipe.schema.json',
      `# ${title}`,
      '#',
      ...(start
        ? [`#   npx reanchor train recipes/paper/${setting.name}-sft.yaml --processes ${paperProcesses} --out ${start}`]
        : []),
      `#   npx reanchor train recipes/paper/${name}.yaml --processes ${paperProcesses} --out runs/${name}`,
      '#',
      ...estimatePlace,
      '# A run of the paper that has not been made with this program; which of its values are known is said in the parts.',
      '# Made by scripts/paper-recipes.ts.',
      'extends:',
      ...parts.map((part) => `  - parts/${part}.yaml`),
      ...(start ? [`model: ${start}/final`] : []),
      '',
    ].join('\n'),
  ];
}

/** Where a text has what is estimated. */
const estimatePlace = ['# (estimate)', '#'];

/** The text of a recipe with what is estimated of it. */
export const withEstimate = (text: string, lines: readonly string[]) =>
  text.replace(`${estimatePlace[0]}\n`, lines.map((line) => `${line}\n`).join(''));

/** A recipe's run on the devices of the paper. Rows are assumed to be as long as they may be. */
export async function paperEstimate(name: string): Promise<RunEstimate> {
  const file = join(repositoryRoot, 'recipes/paper', name);
  const recipe = readRecipe(file, { set: [], env: {} });
  return estimateRun({ recipe, processes: paperProcesses, modelsOfSameShape: modelsNamed(file) });
}

/** What is said of it on top of the recipe. */
export function estimateLines({ memory, microBatch, worlds, shard, steps }: RunEstimate): string[] {
  const [world] = worlds;
  const { name, bytesPerSecond, gpu } = links.nvlink;
  const sending = totalSent(world!.modes.find((mode) => mode.shard === shard)!.sent) / bytesPerSecond;
  const hours = ((world!.flops / flopsPerSecond(gpu, 'bf16') + sending) * (steps ?? 100)) / 3600;
  const rows = `${microBatch.rows} rows of ${Math.round(microBatch.tokens / microBatch.rows).toLocaleString('en')} packed tokens`;
  const time = `${hours.toFixed(1)} hours${steps === undefined ? ' for each 100 steps' : ''}`;
  return [
    `# On ${paperProcesses} GPUs of 80 GB, estimated for rows as long as they may be: ${Math.ceil(totalMemory(memory) / 1e9)} GB of each, in micro-batches`,
    `# of ${rows}; ${time} at ${100 * gpu.share} % of the peak of ${gpu.name}s in bf16 (312 TFLOP/s), with`,
    `# ${name}, without evaluations. Shorter rows take less.`,
  ];
}
