import { expect, test } from 'vitest';
import { globMatcher, globPath, hasWildcard } from './glob.js';

const isMatch = (pattern: string, path: string) => globMatcher(pattern)(globPath(path));

// What fsspec's glob, with the rules of datasets for what is hidden, says of the same.
test.each([
  ['**', 'a/b/c.jsonl', true],
  ['*', 'a/b', false],
  ['a/**', 'a', false],
  ['a/**', 'a/b/c', true],
  ['**/a', 'a', true],
  ['**/a/**', 'x/y/a/z', true],
  ['**/a/**/b', 'a/b', true],
  ['*.jsonl', '.jsonl', false],
  ['?.x', 'é.x', true],
  ['?.x', '𝒳.x', true],
  ['[a-c]x', 'bx', true],
  ['[!a-c]x', 'bx', false],
  ['[]]x', ']x', true],
  ['[!]]x', ']x', false],
  ['[-x]', '-', true],
  ['[x-]', '-', true],
  ['[c-a]', 'b', false],
  ['[^a]', 'b', false],
  ['a[b', 'a[b', true],
  ['./a/*', 'a/b', true],
  ['a+(b).x', 'a+(b).x', true],
  ['**', '.a/b', false],
  ['.a/*', '.a/b', true],
  ['.a/*', '.a/.b', false],
  ['**', 'a/__x/b', false],
  ['a/__x/*', 'a/__x/b', true],
  ['**', '__b', true],
  ['*a*b*', 'xxaxxbxx', true],
  ['*a*b*', 'xxbxxaxx', false],
])('the pattern %s and the path %s: %s', (pattern, path, expected) => {
  expect(isMatch(pattern, path)).toBe(expected);
});

test('a pattern made to take long does not', () => {
  const start = process.cpuUsage();
  expect(isMatch(`${'**/'.repeat(500)}${'*a'.repeat(1000)}b`, `${'a/'.repeat(500)}${'a'.repeat(1000)}`)).toBe(false);
  expect(process.cpuUsage(start).user).toBeLessThan(2e6);
  expect(() => isMatch('['.repeat(5000), 'a')).toThrow(/a pattern of 5000 characters/);
});

test('a path without wildcards has to be there, others may match nothing', () => {
  expect(['a/b', 'a*', '[a]', 'a?'].map(hasWildcard)).toEqual([false, true, true, true]);
});
