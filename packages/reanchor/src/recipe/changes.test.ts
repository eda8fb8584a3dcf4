// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
import { describe, expect, it, vi } from 'vitest';
import { UserError } from '../errors.js';
import { changeableKeys, recipeChanges, recipeHash } from './changes.js';
import { recipeKeys } from './keys.js';
import { parseRecipe } from './parse.js';

const recipe = (...set: string[]) =>
  parseRecipe('{ model: m, method: dpo, data: { train: [a, b], validation: 8 }, evaluate: { every: 2 } }', {
    file: 'r.yaml',
    set,
    env: {},
  });

describe('a run that goes on', () => {
  it('takes changes of what does not decide its course', () => {
    const changed = recipe('threads=2', 'logEvery=5', 'log.tensorboard=true', 'checkpoint.every=9', 'evaluate.every=3');
    expect(recipeChanges(recipe(), changed, 'runs/a').map(({ text }) => text)).toEqual([
      'checkpoint.every: "15min" -> 9',
      'evaluate.every: 2 -> 3',
      'log.tensorboard: false -> true',
      'logEvery: 1 -> 5',
      'threads: left out -> 2',
    ]);
    expect(recipeHash(changed)).toBe(recipeHash(recipe()));
  });

  it('refuses any other, and names every changed key with both values', () => {
    const changed = recipe('optimizer.lr=1e-4', 'data.train=[a]', 'reference={ update: hard, tau: 4 }', 'threads=2');
    const change = () => recipeChanges(recipe(), changed, 'runs/a');
    expect(change).toThrow(UserError);
    expect(change).toThrow(/runs\/a cannot go on with another recipe: put these keys back, or .* without resume/);
    for (const line of [
      'optimizer.lr: 0.000001 -> 0.0001',
      'data.train: ["a","b"] -> ["a"]',
      'reference.update: "fixed" -> "hard"',
      'reference.tau: left out -> 4',
      'threads: left out -> 2 (this one may change)',
    ])
      expect(change).toThrow(line);
    expect(recipeHash(changed)).not.toBe(recipeHash(recipe()));
  });

  it('says that a path stands in a variable by now, and takes that for another recipe', () => {
    vi.stubEnv('PLACE', '/some/place');
    const spelledOut = recipe('model=/some/place/m');
    const withVariable = parseRecipe('{ extends: [] }', {
      file: 'r.yaml',
      set: ['model=${PLACE}/m', 'method=dpo', 'data={ train: [a, b], validation: 8 }', 'evaluate.every=2'],
    });
    expect(() => recipeChanges(spelledOut, withVariable, 'x')).toThrow('\n  model: the path itself -> "${PLACE}/m"');
    expect(recipeHash(spelledOut)).not.toBe(recipeHash(withVariable));
    vi.stubEnv('PLACE', '/another/place');
    expect(() => recipeChanges(spelledOut, withVariable, 'x')).toThrow('model: "/some/place/m" -> "${PLACE}/m"');
    expect(recipeChanges(withVariable, withVariable, 'x')).toEqual([]);
    vi.unstubAllEnvs();
  });

  it('does not take another evaluate.every when the reference waits for evaluations', () => {
    const plateau = 'reference={ update: plateau, metric: accuracy, patience: 1, minGain: 0 }';
    expect(() => recipeChanges(recipe(plateau), recipe(plateau, 'evaluate.every=3'), 'x')).toThrow('evaluate.every');
  });

  it('does not take other micro-batches when the loss sees them', () => {
    const cut = 'batch.tokensPerMicroBatch=10';
    expect(recipeChanges(recipe(), recipe(cut), 'x')[0]).toMatchObject({ changesRounding: true });
    const over = 'loss.over=microBatch';
    expect(() => recipeChanges(recipe(over), recipe(over, cut), 'x')).toThrow('batch.tokensPerMicroBatch');
  });

  it('knows its keys', () => {
    const paths = recipeKeys().map(({ path }) => path);
    for (const { key } of changeableKeys) expect(paths).toContain(key);
  });
});
