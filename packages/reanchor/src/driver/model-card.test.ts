import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type RecipeInput, recipeSchema } from '../recipe/recipe.js';
import { type ModelCardInput, modelCard } from './model-card.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'card-'));
  mkdirSync(join(folder, 'models/base'), { recursive: true });
  for (const name of ['pairs.jsonl', 'held-out.jsonl', 'chat.jinja']) writeFileSync(join(folder, name), '');
});

function card(recipe: Partial<RecipeInput>, more: Partial<ModelCardInput> = {}) {
  const parsed = recipeSchema.parse({ model: 'm', method: 'dpo', data: { train: 'a' }, ...recipe });
  const text = modelCard({
    recipe: parsed,
    commits: {},
    steps: 2,
    totalSteps: 2,
    updates: 1,
    evaluations: [],
    ...more,
  });
  return { text, recipe: JSON.parse(/```json\n(.*)\n```/s.exec(text)![1]!) };
}

it('a model card names the data sets of the Hub that were trained on, and no others', () => {
  const train = [
    'owner/pairs:split@v1',
    { source: 'owner/pairs', weight: 2 },
    { source: 'a/b', weight: 1 },
    join(folder, 'pairs.jsonl'),
  ];
  const commits = { 'owner/pairs@v1': 'c', 'owner/pairs': 'd', 'owner/model': 'e', 'owner/held-out': 'f' };
  const { text } = card({ model: 'owner/model', data: { train, validation: 'owner/held-out' } }, { commits });
  expect(text).toMatch(/^---\nlibrary_name: transformers\nbase_model: owner\/model\ndatasets: \[owner\/pairs\]\ntags:/);
  expect(card({}).text).not.toContain('datasets:');
});

describe('the recipe in a model card', () => {
  it.each<[string, Partial<RecipeInput>]>([
    ['a metric', { evaluate: { every: 2 }, checkpoint: { every: 2, best: 'rewards/accuracies' } }],
    ['an address', { log: { mlflow: 'http://tracking.example:5000/prefix/', experiment: 'team/first try' } }],
    ['a template', { data: { train: 'a', chatTemplate: '{{ messages[0].content }}</s>\\n' } }],
    ['a data set', { model: 'owner/model', data: { train: 'owner/pairs', validation: 'owner/pairs' } }],
    ['a revision', { model: 'owner/model@refs/pr/1', data: { train: ['owner/pairs@v1', 'a/b'] } }],
    ['a part of a data set', { data: { train: 'openai/summarize_from_feedback:sft' } }],
    ['a weighted data set', { data: { train: [{ source: 'owner/pairs', weight: 2 }] } }],
    ['another first reference', { reference: { update: 'soft', alpha: 0.5, model: 'owner/model' } }],
  ])('has %s as it was given, slash and all', (_, recipe) => {
    expect(card(recipe).recipe).toMatchObject(recipe);
  });

  it('has the last parts of paths, wherever they stand', () => {
    const at = (name: string) => join(folder, name);
    const { text, recipe } = card({
      model: at('models/base/'),
      reference: { update: 'fixed', model: at('models/base') },
      data: {
        train: [at('pairs.jsonl'), { source: at('pairs.jsonl'), weight: 2 }],
        validation: [at('held-out.jsonl'), at('gone/by-now.jsonl')],
        chatTemplate: at('chat.jinja'),
      },
    });
    expect(text).not.toContain(folder);
    expect(recipe).toMatchObject({
      model: 'base',
      reference: { model: 'base' },
      data: {
        train: ['pairs.jsonl', { source: 'pairs.jsonl', weight: 2 }],
        validation: ['held-out.jsonl', 'by-now.jsonl'],
        chatTemplate: 'chat.jinja',
      },
    });
    expect(text).toContain('# base trained with TR-DPO');
    expect(card({ data: { train: at('pairs.jsonl'), validation: at('held-out.jsonl') } }).recipe.data).toMatchObject({
      train: 'pairs.jsonl',
      validation: 'held-out.jsonl',
    });
  });

  it('takes what is there for a path, as training does, though it looks like a name on the Hub', () => {
    const here = process.cwd();
    process.chdir(folder);
    try {
      expect(card({ model: 'models/base' }).recipe.model).toBe('base');
      expect(card({ model: '.' }).recipe.model).toMatch(/^card-/);
    } finally {
      process.chdir(here);
    }
  });

  it('is the recipe otherwise', () => {
    const given = { model: 'm', method: 'kto', data: { train: 'a', validation: 8 }, seed: 7 } as const;
    expect(card(given).recipe).toEqual(JSON.parse(JSON.stringify(recipeSchema.parse(given))));
  });
});

it('the table of a card has every metric that any evaluation has', () => {
  const evaluations = [
    { step: 0, metrics: { loss: 0.5 } },
    { step: 2, metrics: { loss: 0.25, 'rewards/accuracies': 0.75 } },
  ];
  const { text } = card({}, { evaluations });
  expect(text).toContain(
    ['| step | loss | rewards/accuracies |', '|---|---|---|', '| 0 | 0.5000 |  |', '| 2 | 0.2500 | 0.7500 |'].join(
      '\n',
    ),
  );
});

it('names the model on the Hub with its commit', () => {
  const { text } = card({ model: 'owner/model' }, { commits: { 'owner/model': 'abc' } });
  expect(text).toMatch(/^base_model: owner\/model$/m);
  expect(text).toContain('from `owner/model` (commit abc)');
});
