import fc from 'fast-check';
import { expect, test } from 'vitest';
import { duplicateKey, jsonErrorIndex } from './json-text.js';

const isJson = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test('a text has an error exactly when JSON.parse has', () => {
  const spaced = fc
    .tuple(fc.json(), fc.constantFrom(0, 2, '\t'))
    .map(([text, space]) => JSON.stringify(JSON.parse(text), null, space));
  const broken = fc
    .tuple(
      spaced,
      fc.nat(),
      fc.nat({ max: 2 }),
      fc.constantFrom('', '"', '{', ']', ',', ':', '\\', '0', '.', 'e', '-', '\u0001', 'null', ' '),
    )
    .map(([text, at, removed, added]) => {
      const start = at % (text.length + 1);
      return text.slice(0, start) + added + text.slice(start + removed);
    });
  fc.assert(
    fc.property(fc.oneof(spaced, broken, fc.string()), (text) => {
      expect(jsonErrorIndex(text) === undefined).toBe(isJson(text));
    }),
    { numRuns: 5000 },
  );
});

test('what stands before the error can be completed to JSON, or is what JSON.parse objects to', () => {
  expect(jsonErrorIndex('{"a": 1, "b" 2}')).toBe(13);
  expect(jsonErrorIndex('{"a": 1')).toBe(7);
  expect(jsonErrorIndex('{"a": 1} {')).toBe(9);
  expect(jsonErrorIndex('[1, 2,]')).toBe(6);
  expect(jsonErrorIndex('{"a": "x')).toBe(8);
  expect(jsonErrorIndex('{"a": "x\\y"}')).toBe(8);
  expect(jsonErrorIndex('')).toBe(0);
  expect(jsonErrorIndex('01')).toBe(1);
});

test('long texts and deep ones are no trouble', () => {
  expect(jsonErrorIndex(`{"a": "${'x'.repeat(5_000_000)}", }`)).toBe(5_000_010);
  expect(jsonErrorIndex(`${'['.repeat(1_000_000)}x`)).toBe(1_000_000);
});

test('the first key given twice in one object is found', () => {
  expect(duplicateKey('{"a": 1, "b": {"a": 2}, "c": ["a", "a"]}')).toBeUndefined();
  expect(duplicateKey('{"a": 1, "b": {"c": 2, "c": 3}}')).toBe('c');
  expect(duplicateKey('{"a\\"": 1, "\\u0061\\"": 2}')).toBe('a"');
  expect(duplicateKey('{"a": "a\\":", "b": "{\\"b\\":"}')).toBeUndefined();
  expect(duplicateKey('{"__proto__": 1, "__proto__": 2}')).toBe('__proto__');
});

test('no text that JSON.stringify makes has a key twice', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(duplicateKey(JSON.stringify(value))).toBeUndefined();
    }),
  );
});
