import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../errors.js';
import { writeFolderAtomic } from '../formats/index.js';
import { readFile } from '../formats/regular-file.js';
import type { CausalLM } from '../models/causal-lm.js';
import { type SaveOptions, saveModel } from '../models/save.js';
import type { Recipe } from '../runs/index.js';
import type { Tokenizer } from '../text/tokenizer.js';
import type { Metrics } from './metrics.js';
import { recipeSaveOptions } from './recipe-dtypes.js';

export interface Trained {
  policy: CausalLM;
  tokenizer: Tokenizer;
  recipe: Recipe;
  /** The folder of the model that was trained. */
  modelFolder: string;
  /** The commits that names on the Hub stood for. */
  commits: Readonly<Record<string, string>>;
  steps: number;
  /** The steps that were planned; more than `steps` in a checkpoint. */
  totalSteps: number;
  /** How often the reference moved. */
  updates: number;
  evaluations: readonly { step: number; metrics: Metrics }[];
}

/**
 * Writes the trained model into `folder`, or, when that fails, into a folder for temporary files and as it was trained,
 * so that no training is lost to a disk that has filled up meanwhile, or to a dtype that cannot hold it. Errors: UserError that says why, and where the model is.
 */
export async function saveOrRescue(folder: string, trained: Trained): Promise<void> {
  try {
    await saveTrained(folder, trained);
  } catch (error) {
    const rescue = join(tmpdir(), `reanchor-${basename(dirname(folder))}-${Date.now()}`);
    try {
      const { dtype: _unfit, ...save } = trained.recipe.save;
      await saveTrained(rescue, { ...trained, recipe: { ...trained.recipe, save } });
    } catch {
      throw error;
    }
    throw new UserError(`${(error as Error).message}. The model is saved in ${rescue} instead`, { cause: error });
  }
}

/** Writes a Hugging Face folder: weights, config, tokenizer files and a model card. It appears whole or not at all. */
export async function saveTrained(folder: string, trained: Trained): Promise<void> {
  await writeFolderAtomic(folder, (temporary) =>
    writeModelFiles(temporary, trained, recipeSaveOptions(trained.recipe)),
  );
}

/** Writes the files of a Hugging Face folder into one that is there. */
export async function writeModelFiles(folder: string, trained: Trained, options: SaveOptions): Promise<void> {
  await saveModel(trained.policy, folder, options);
  for (const [name, bytes] of trained.tokenizer.files) await writeFile(join(folder, name), bytes);
  const generation = join(trained.modelFolder, 'generation_config.json');
  if (existsSync(generation)) await writeFile(join(folder, 'generation_config.json'), await readFile(generation));
  await writeFile(join(folder, 'README.md'), modelCard(trained));
}

/** The model card: what it was made from, how, and what was measured. */
export function modelCard({ recipe, commits, steps, totalSteps, updates, evaluations }: Trained): string {
  // Paths of this machine say nothing elsewhere: of a text that is one, the last part. Names on the Hub do.
  const shown = (text: string) => (/[\\/]/.test(text) && !Object.hasOwn(commits, text) ? basename(text) : text);
  const base = shown(recipe.model);
  const commit = commits[recipe.model];
  const method = `${updates === 0 ? '' : 'tr-'}${recipe.method}`;
  const length = steps === totalSteps ? `${steps}` : `A checkpoint after ${steps} of ${totalSteps}`;
  const names = Object.keys(evaluations[0]?.metrics ?? {});
  const table =
    evaluations.length === 0
      ? ['The recipe names no rows to evaluate on.']
      : [
          'On the rows of `data.validation`; rewards are measured against the initial policy.',
          '',
          `| step | ${names.join(' | ')} |`,
          `|---|${names.map(() => '---').join('|')}|`,
          ...evaluations.map(
            ({ step, metrics }) => `| ${step} | ${names.map((name) => metrics[name]?.toFixed(4) ?? '').join(' | ')} |`,
          ),
        ];
  return [
    '---',
    'library_name: transformers',
    ...(commit === undefined ? [] : [`base_model: ${base.split('@')[0]}`]),
    `tags: [${method}, preference-alignment, reanchor]`,
    '---',
    '',
    `# ${base} trained with ${method.toUpperCase()}`,
    '',
    `${length} optimizer steps of ${recipe.batch.size} rows with reanchor, from \`${base}\`${commit === undefined ? '' : ` (commit ${commit})`}.${recipe.method === 'sft' ? '' : ` The reference moved ${updates} times.`}`,
    '',
    '## Evaluation',
    '',
    ...table,
    '',
    '## Recipe',
    '',
    '```json',
    JSON.stringify(recipe, (_key, value) => (typeof value === 'string' ? shown(value) : value), 2),
    '```',
    '',
  ].join('\n');
}
