import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FormatError, RecipeError, UsageError, UserError, unreadable } from './errors.js';

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

test('why a path cannot be read, as the system told it', () => {
  const why = (path: string, read: (path: string) => unknown) => {
    try {
      return read(path);
    } catch (error) {
      return unreadable(path, error);
    }
  };
  expect(why('/no/such/file', readFileSync)).toBe('/no/such/file does not exist');
  expect(why('/', readFileSync)).toBe('/ is a folder');
  expect(why('/dev/null', readdirSync)).toBe('/dev/null is a file, or below one');
  expect(why('/dev/null/x', readFileSync)).toBe('/dev/null/x is a file, or below one');
  expect(unreadable('x', Object.assign(new Error('EACCES: …'), { code: 'EACCES' }))).toBe(
    'x may not be read by this user',
  );
  expect(unreadable('x', Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))).toBe(
    'x cannot be read (EIO: i/o error, read)',
  );
});
