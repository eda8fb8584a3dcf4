import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../../../tests/support/repository.js';
import { RecipeError } from '../errors.js';
import { checkRecipe } from './check.js';
import { parseRecipe, readRecipe } from './parse.js';
import type { RecipeInput } from './recipe.js';

const minimal = { model: 'm', method: 'dpo', data: { train: 'a.jsonl' } } as const;
const ofText = (text: string) => parseRecipe(text, { file: 'r.yaml', env: {} });

/** The message about a recipe that must have a mistake. */
function told(recipe: unknown): string {
  try {
    checkRecipe(recipe as RecipeInput, {});
  } catch (error) {
    expect(error).toBeInstanceOf(RecipeError);
    return (error as RecipeError).message;
  }
  throw new Error('the recipe was accepted');
}

describe('a recipe as an object', () => {
  it('is what the same keys in a file are', () => {
    const given: RecipeInput = { ...minimal, reference: { update: 'hard', tau: 4 }, optimizer: { lr: 1e-4 }, steps: 5 };
    const text =
      'model: m\nmethod: dpo\ndata: { train: a.jsonl }\nreference: { update: hard, tau: 4 }\noptimizer: { lr: 1.0e-4 }\nsteps: 5\n';
    expect(checkRecipe(given, {})).toEqual(ofText(text));
  });

  it('that was checked before stays as it is, also with a key exchanged', () => {
    const folder = join(repositoryRoot, 'recipes');
    const env = { REANCHOR_DATA: 'data' };
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.yaml') && !/parts\/|study\//.test(name),
    );
    expect(files.length).toBeGreaterThan(70);
    for (const file of files) {
      const recipe = readRecipe(join(folder, file), { env });
      expect(checkRecipe(recipe, env), file).toEqual(recipe);
    }
    const checked = checkRecipe(minimal, {});
    expect(checkRecipe({ ...checked, steps: 7 }, {})).toEqual({ ...checked, steps: 7 });
    const sft = checkRecipe({ ...minimal, method: 'sft' }, {});
    expect(checkRecipe(sft, {})).toEqual(sft);
  });

  it('with a misspelt key is refused by the compiler, and by a message with the nearest one', () => {
    // @ts-expect-error the key is lr
    const misspelt: RecipeInput = { ...minimal, optimizer: { lrr: 1 } };
    expect(told(misspelt)).toBe('the recipe has a problem:\n  optimizer.lrr: unknown key; did you mean optimizer.lr?');
    // @ts-expect-error beta is of the loss
    const misplaced: RecipeInput = { ...minimal, beta: 0.1 };
    expect(told(misplaced)).toContain('beta: unknown key; did you mean loss.beta?');
    // @ts-expect-error tau is of hard updates
    const other: RecipeInput = { ...minimal, reference: { update: 'soft', alpha: 0.6, tau: 4 } };
    expect(told(other)).toContain('reference.tau: not used with update: soft, only with update: hard');
  });

  it('is told all that is wrong with it: what was given, what is allowed, what to do', () => {
    expect(told({ ...minimal, method: 'dpoo', optimizer: { lr: -1 }, steps: 5, epochs: 2 })).toBe(
      [
        'the recipe has 3 problems:',
        '  method: "dpoo" is not allowed: method is the method of training, which sets the loss; allowed: sft | dpo | ipo | kto | kto-pair; did you mean dpo?',
        '  optimizer.lr: -1 is not allowed: lr is the learning rate of AdamW at the top of the schedule; allowed: number > 0',
        '  steps: 5: contradicts epochs, since either sets the length of the run: remove one of them; null takes one out of a recipe that this one extends',
      ].join('\n'),
    );
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
    expect(told({ ...minimal, model: '${NOWHERE}' })).toMatch(/model: .*NOWHERE.* is not set in the environment/);
  });

  it('that is a file name, or extends one, is told how files are read', () => {
    expect(told('tr-dpo.yaml')).toBe(
      '"tr-dpo.yaml" is no recipe: give an object with at least model, method and data, or readRecipe(file)',
    );
    expect(told({ ...minimal, extends: 'other.yaml' })).toContain('extends: it is for recipe files: spread the other');
    expect(told({})).toContain('model: missing');
  });
});
