import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Float, parseExactJson } from './exact-json.js';

describe('numbers stay what they are in Python', () => {
  test.each<[string, unknown]>([
    ['{"a": {"x": 2.0}}', { a: { x: new Float(2) } }],
    ['{"a": [1e3, 1.5, 2, -0.0]}', { a: [new Float(1000), 1.5, 2, new Float(-0)] }],
    ['{"a": {"id": 12345678901234567890}}', { a: { id: 12345678901234567890n } }],
    ['{"a": {"id": 9007199254740991}}', { a: { id: 9007199254740991 } }],
    ['[{"x": 2.0}]', [{ x: new Float(2) }]],
    ['{"a": {"s": "x: 2.0, \\" 3.0 ]", "n": 4.0}}', { a: { s: 'x: 2.0, " 3.0 ]', n: new Float(4) } }],
    ['{"a": "2.0"}', { a: '2.0' }],
  ])('%s', (text, expected) => {
    expect(parseExactJson(text)).toEqual(expected);
  });

  test('the fields of a row itself are plain numbers, such as scores', () => {
    expect(parseExactJson('{"score": 7.0, "a": {"x": 7.0}}')).toEqual({ score: 7, a: { x: new Float(7) } });
  });

  test('they are written as they were read, as numbers', () => {
    expect(JSON.stringify(parseExactJson('{"a":{"x":2.0}}'))).toBe('{"a":{"x":2}}');
  });
});

test('every other value is that of JSON.parse', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.parse(JSON.stringify(parseExactJson(text), bigintAsNumber))).toEqual(JSON.parse(text));
    }),
  );
});

const bigintAsNumber = (_key: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);

test('what is no JSON is a SyntaxError', () => {
  expect(() => parseExactJson('{"a": 2.0,}')).toThrow(SyntaxError);
});
