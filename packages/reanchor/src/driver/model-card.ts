/** What a model folder says of itself in README.md. */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { DType } from '@reanchor/torch';
import { parseRepositoryName } from '../hub/index.js';
import type { Recipe } from '../recipe/index.js';
import type { Metrics } from '../train/metrics.js';

export interface ModelCardInput {
  recipe: Recipe;
  /** The commits that names on the Hub stood for. */
  commits: Readonly<Record<string, string>>;
  steps: number;
  /** The steps that were planned; more than `steps` in a checkpoint. */
  totalSteps: number;
  /** How often the reference moved. */
  updates: number;
  evaluations: readonly { step: number; metrics: Metrics }[];
  /** Why the run ended before its last step, where it did. */
  stopped?: string | undefined;
  /** The step whose weights these are, where they are the best ones, with what makes them so. */
  best?: { step: number; metric: string; value: number } | undefined;
  /** Whether the adapter that was trained is merged into its base. */
  isMerged?: boolean | undefined;
}

/** The model card: what it was made from, how, and what was measured. */
export function modelCard(input: ModelCardInput): string {
  const { recipe, commits, steps, totalSteps, updates, evaluations, stopped, best, isMerged = false } = input;
  const isAdapter = recipe.adapter !== undefined && !isMerged;
  const base = sourceName(recipe.model);
  const commit = commits[recipe.model];
  const method = `${updates === 0 ? '' : 'tr-'}${recipe.method}`;
  const datasets = trainedOn(recipe, commits);
  const isWhole = steps === totalSteps || stopped !== undefined;
  const length = isWhole ? `${steps}` : `A checkpoint after ${steps} of ${totalSteps}`;
  const names = [...new Set(evaluations.flatMap(({ metrics }) => Object.keys(metrics)))];
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
    `library_name: ${isAdapter ? 'peft' : 'transformers'}`,
    ...(commit === undefined ? [] : [`base_model: ${base.split('@')[0]}`]),
    ...(datasets.length === 0 ? [] : [`datasets: [${datasets.join(', ')}]`]),
    `tags: [${method}, preference-alignment, reanchor]`,
    '---',
    '',
    `# ${isAdapter ? `An adapter on ${base}, trained` : `${base} trained`} with ${method.toUpperCase()}`,
    '',
    `${length} optimizer steps of ${recipe.batch.size} rows with reanchor, from \`${base}\`${commit === undefined ? '' : ` (commit ${commit})`}.${recipe.method === 'sft' ? '' : ` The reference moved ${updates} times.`}`,
    ...endNotes({ stopped, best, totalSteps }),
    '',
    '## Evaluation',
    '',
    ...table,
    '',
    '## Recipe',
    '',
    '```json',
    JSON.stringify(withoutPaths(recipe), null, 2),
    '```',
    '',
  ].join('\n');
}

/** The data sets of the Hub that rows to train on came from: those that a commit is known of. */
function trainedOn({ data }: Recipe, commits: Readonly<Record<string, string>>): string[] {
  const known = new Set(Object.keys(commits).map((name) => name.split('@')[0]));
  const sources = [data.train].flat().map((entry) => (typeof entry === 'string' ? entry : entry.source));
  return [...new Set(sources.map((source) => source.replace(/[:@].*/s, '')))].filter((name) => known.has(name));
}

/** What is to be said of the end of a run: that it came early, and whose weights it has left. */
function endNotes({ stopped, best, totalSteps }: Pick<ModelCardInput, 'stopped' | 'best' | 'totalSteps'>): string[] {
  const early = stopped && `The run of ${totalSteps} steps ${stopped}.`;
  const chosen =
    best && `The weights are those after step ${best.step}, the best by ${best.metric}: ${best.value.toFixed(4)}.`;
  return [early, chosen].flatMap((note) => (note ? ['', note] : []));
}

/** The model card of a base with an adapter merged into it, by what the two are called. */
export function mergedCard({ base, adapter, dtype }: { base: string; adapter: string; dtype: DType }): string {
  const [onHub, own] = [base, adapter].map(sourceName) as [string, string];
  return [
    '---',
    'library_name: transformers',
    ...(onHub.includes('/') ? [`base_model: ${onHub.split('@')[0]}`] : []),
    'tags: [reanchor]',
    '---',
    '',
    `# ${onHub} with an adapter`,
    '',
    `\`${onHub}\` with the adapter \`${own}\` merged into its weights by reanchor, stored in ${dtype}.`,
    '',
  ].join('\n');
}

/** A recipe with the last parts of its paths in their place; every other value is as it was. */
function withoutPaths(recipe: Recipe): Recipe {
  const { data, reference, adapter } = recipe;
  const train = [data.train]
    .flat()
    .map((entry) => (typeof entry === 'string' ? sourceName(entry) : { ...entry, source: sourceName(entry.source) }));
  const { validation } = data;
  return {
    ...recipe,
    model: sourceName(recipe.model),
    ...(adapter?.resumeFrom !== undefined && { adapter: { ...adapter, resumeFrom: sourceName(adapter.resumeFrom) } }),
    reference: { ...reference, ...(reference.model !== undefined && { model: sourceName(reference.model) }) },
    data: {
      ...data,
      train: Array.isArray(data.train) ? train : (train[0] as string),
      ...(typeof validation === 'string' && { validation: sourceName(validation) }),
      ...(Array.isArray(validation) && { validation: validation.map(sourceName) }),
      ...(data.chatTemplate?.endsWith('.jinja') && { chatTemplate: basename(data.chatTemplate) }),
    },
  };
}

/**
 * What a model, or a source of rows, is called elsewhere: a name on the Hub, or of a path of this machine its last
 * part.
 */
function sourceName(text: string): string {
  // As where it is looked for: what is there is a path. Behind a name may stand a part of the set, or a revision.
  const isName = !existsSync(text) && parseRepositoryName(text.replace(/[:@].*/s, ''), 'dataset') !== undefined;
  return isName ? text : basename(resolve(text));
}
