import { expect, test } from 'vitest';
import { FormatError, RecipeError, UsageError, UserError } from './errors.js';

test('a format error begins with its place', () => {
  expect(new FormatError('broken', { file: 'a.jsonl', where: '3:14' }).message).toBe('a.jsonl:3:14: broken');
  expect(new FormatError('broken', { file: 'a.safetensors', where: 'byte 8' }).message).toBe(
    'a.safetensors, byte 8: broken',
  );
  expect(new FormatError('broken', { file: 'a' })).toMatchObject({
    message: 'a: broken',
    file: 'a',
    where: '',
    name: 'FormatError',
  });
});

test('a recipe error lists every problem, and is wrong usage', () => {
  const error = new RecipeError('r.yaml', ['beta: 0', 'tau: x']);
  expect(error.message).toBe('r.yaml has 2 problems:\n  beta: 0\n  tau: x');
  expect(new RecipeError('r.yaml', ['x']).message).toBe('r.yaml has a problem:\n  x');
  expect(error).toBeInstanceOf(UsageError);
  expect(error).toBeInstanceOf(UserError);
});
