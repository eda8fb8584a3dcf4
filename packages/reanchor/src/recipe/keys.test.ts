import { describe, expect, it } from 'vitest';
import { recipeKey, recipeKeys } from './keys.js';
import { editDistance, nearest } from './nearest.js';

describe('recipe keys', () => {
  it('are all documented, by a noun phrase', () => {
    for (const { path, description, type } of recipeKeys()) {
      expect(description, path).toMatch(/^(the|when) \S.*[^.]$/);
      expect(type, path).not.toMatch(/undefined|anything|object/);
    }
  });

  it('have a default, are required or are optional', () => {
    expect(recipeKey('optimizer.lr')).toEqual({
      path: 'optimizer.lr',
      type: 'number > 0',
      description: 'the learning rate of AdamW at the top of the schedule',
      isRequired: false,
      isSection: false,
      default: 1e-6,
    });
    expect(recipeKey('data.train')).toMatchObject({
      isRequired: true,
      type: 'string | list of (string | { source: string, weight: number > 0 })',
    });
    expect(recipeKey('loss.weights')?.type).toBe('list of (number >= 0)');
    expect(recipeKey('steps')).not.toHaveProperty('default');
    expect(recipeKey('reference')).toMatchObject({ isSection: true, default: { update: 'fixed' } });
  });

  it('of the reference say with which update they are used', () => {
    expect(recipeKey('reference.update')?.type).toBe('fixed | soft | hard | mixed | plateau');
    expect(recipeKey('reference.alpha')?.usedWith).toEqual({ key: 'update', values: ['soft', 'mixed'] });
    expect(recipeKey('reference.tau')?.usedWith).toEqual({ key: 'update', values: ['hard', 'mixed'] });
  });
});

describe('the nearest name', () => {
  it('counts insertions, deletions, replacements and swaps', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('alpha', 'alhpa')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('disregards case, _ and -, and gives up when nothing is near', () => {
    expect(nearest('weight_decay', ['lr', 'weightDecay'])).toBe('weightDecay');
    expect(nearest('temperature', ['lr', 'weightDecay'])).toBeUndefined();
    expect(nearest('tua', ['alpha', 'tau'])).toBe('tau');
  });
});
