import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { estimateRun, totalMemory } from '#reanchor/estimate/index.js';
import { readRecipe } from '#reanchor/recipe/index.js';
import { settingsOf } from '#reanchor/sweep/settings.js';
import { parseStudy } from '#reanchor/sweep/study.js';
import { estimateLines, paperBytes, paperEstimate, paperRecipes, withEstimate } from '../support/paper-recipes.js';
import { recipeDocument } from '../support/recipe-document.js';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');

test('docs/reference/recipe.md lists every key of a recipe', () => {
  expect(read('docs/reference/recipe.md')).toBe(recipeDocument());
});

const recipes = readdirSync(join(repositoryRoot, 'recipes'), { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.yaml') && !/parts\/|study\//.test(name),
);

test('every recipe is valid and says on top how to launch it', () => {
  expect(recipes.length).toBeGreaterThan(70);
  for (const name of recipes) {
    readRecipe(join(repositoryRoot, 'recipes', name), { set: [], env: { REANCHOR_DATA: 'data' } });
    expect(read(join('recipes', name)), name).toMatch(/^# .+\n(#.*\n)*#.* npx reanchor train recipes\//);
  }
});

test('every study is valid and says on top how to launch it', () => {
  const folder = join(repositoryRoot, 'recipes/study');
  const studies = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  expect(studies.length).toBeGreaterThan(0);
  for (const name of studies) {
    const text = read(join('recipes/study', name));
    expect(settingsOf(parseStudy(text, join(folder, name))).length, name).toBeGreaterThan(1);
    expect(text, name).toMatch(/^# .+\n(#.*\n)*#.* npx reanchor sweep recipes\/study\//);
  }
});

test('the recipes of the paper are those that their generator writes, and fit the devices of the paper', async () => {
  const made = paperRecipes();
  const files = recipes.filter((name) => name.startsWith('paper/')).map((name) => name.slice('paper/'.length));
  expect(files.sort()).toEqual([...made.keys()].sort());
  for (const [name, text] of made) {
    const estimate = await paperEstimate(name);
    expect(read(join('recipes/paper', name))).toBe(withEstimate(text, estimateLines(estimate)));
    // A tenth is left to CUDA and to what its allocator holds back.
    expect(totalMemory(estimate.memory), name).toBeLessThan(0.9 * paperBytes);
  }
}, 120_000);

test('Llama 3 8B fits on one card whose optimizer is in main memory, as the guide has it', async () => {
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  const taken = async (name: string, shard: string, set: string[]) => {
    const file = join(repositoryRoot, `recipes/paper/llama3-8b-base-tr-dpo-${name}.yaml`);
    const settings = [`parallel.shard=${shard}`, 'parallel.offload=optimizer', ...set];
    const { memory, mainMemory } = await estimateRun({
      recipe: readRecipe(file, { set: settings, env: {} }),
      modelsOfSameShape: ['meta-llama/Meta-Llama-3-8B'],
    });
    expect(totalMemory(memory)).toBeLessThan(0.9 * paperBytes);
    return `${gigabytes(totalMemory(memory))} ${gigabytes(mainMemory)}`;
  };
  const [cached, soft] = [
    await taken('hard', 'gradients', ['reference.storage=cached']),
    await taken('soft', 'parameters', []),
  ];
  const numbers = read('docs/guide/estimate.md').matchAll(/([\d.]+)\s+GB(?: of a GPU)? and ([\d.]+) GB/g);
  expect([...numbers].map(([, card, main]) => `${card} ${main}`)).toEqual([cached, soft]);
});

test('every part of the recipes of the paper is used', () => {
  const texts = [...paperRecipes().values()].join();
  for (const part of readdirSync(join(repositoryRoot, 'recipes/paper/parts'))) expect(texts).toContain(`parts/${part}`);
});

test("batch, learning rate, schedule, betas, norm, epochs and lengths are the paper's Table 3", () => {
  for (const name of paperRecipes().keys()) {
    const recipe = readRecipe(join(repositoryRoot, 'recipes/paper', name), { set: [], env: {} });
    expect(recipe, name).toMatchObject({
      ...{ precision: 'bf16', epochs: 1, maxGradNorm: 2, schedule: { type: 'linear', warmupSteps: 100 } },
      batch: { size: 128 },
      optimizer: { lr: recipe.method === 'sft' ? 6e-6 : 1e-6, betas: [0.9, 0.95] },
      data: { maxLength: name.startsWith('llama') ? 2048 : 1024 },
    });
  }
});

test('commands, scripts and files that the documents name exist', () => {
  const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
  const verbs = commandLine(new Terminal()).commands.map((command) => command.name());
  const documents = [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync(join(repositoryRoot, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];
  for (const document of documents) {
    const text = read(document);
    expect(text, `${document}: a placeholder`).not.toMatch(/^[A-Z_]{6,}$/m);
    for (const [, script] of text.matchAll(/npm run ([\w:]+)/g))
      expect(scripts, `${document}: npm run`).toContain(script);
    for (const [, verb] of text.matchAll(/npx reanchor ([a-z][a-z-]*)/g))
      expect(verbs, `${document}: reanchor`).toContain(verb);
    for (const [, path] of text.matchAll(/`((?:packages|docs|recipes|bench|scripts|tests)\/[\w./-]+)`/g)) {
      expect(existsSync(join(repositoryRoot, path!)), `${document} names ${path}`).toBe(true);
    }
  }
});

test('docs/README.md lists every page', () => {
  const contents = read('docs/README.md');
  const pages = readdirSync(join(repositoryRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .filter((page) => !contents.includes(`](${page})`));
  expect(pages).toEqual([]);
});

test('files that CONTRIBUTING and the architecture name by their rooms exist', () => {
  for (const document of ['CONTRIBUTING.md', 'docs/architecture.md']) {
    const named = [...read(document).matchAll(/`([a-z]+\/[\w./-]+\.\w+)`/g)].map(([, path]) => path!);
    expect(named.length, document).toBeGreaterThan(20);
    const roots = ['', 'packages/reanchor/src', 'packages/torch/src'];
    for (const path of named) {
      const isThere = roots.some((root) => existsSync(join(repositoryRoot, root, path)));
      expect(isThere, `${document} names ${path}`).toBe(true);
    }
  }
});

test('CONTRIBUTING lists every variable of the environment that the sources name', () => {
  const text = read('CONTRIBUTING.md');
  const sources = ['packages', 'bench', 'tests/support'].flatMap((folder) => sourceFiles(folder));
  const names = sources
    .filter((file) => /(?<!\.test)\.tsx?$/.test(file))
    .flatMap((file) => readFileSync(file, 'utf8').match(/\b(REANCHOR|HF|MLFLOW|OMP)_[A-Z_]+\b/g) ?? []);
  expect(new Set(names).size).toBeGreaterThan(15);
  expect([...new Set(names)].filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
