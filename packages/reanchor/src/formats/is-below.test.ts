import { expect, test } from 'vitest';
import { isBelow } from './is-below.js';

test.each([
  ['/a', '/a', true],
  ['/a', '/a/b/c', true],
  ['/a', '/a/../a/b', true],
  ['/', '/a', true],
  ['.', 'a/..b', true],
  ['a', 'a/..', false],
  ['/a', '/ab', false],
  ['/a', '/', false],
  ['/a/b', '/a/c', false],
  ['.', '../x', false],
])('%s holds %s: %s', (folder, path, expected) => {
  expect(isBelow(folder, path)).toBe(expected);
});
