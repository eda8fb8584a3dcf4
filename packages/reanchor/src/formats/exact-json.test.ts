import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exactJson, Float, parseExactJson, plainFields } from './exact-json.js';

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

  test('so are those of a row of a list', () => {
    const rows = parseExactJson('[{"score": 7.0, "n": 12345678901234567890, "a": {"x": 7.0}}, 3]') as unknown[];
    expect(rows.map(plainFields)).toEqual([{ score: 7, n: 12345678901234567000, a: { x: new Float(7) } }, 3]);
  });

  test.each([
    '{"a":{"x":2.0,"y":[1000.0,1.5,-0.0,2,"2.0"]}}',
    '{"a":[{"id":12345678901234567890},{"id":-9007199254740993}]}',
    '{"a":[1e+22,1.5e-7,null,true]}',
  ])('they are written as they were read: %s', (text) => {
    expect(exactJson(parseExactJson(text))).toBe(text);
  });

  test('with an indent, and for what has no JSON, as JSON.stringify does', () => {
    expect(exactJson([{ a: 10n ** 20n, b: undefined, c: new Float(1) }], 1)).toBe(
      '[\n {\n  "a": 100000000000000000000,\n  "c": 1.0\n }\n]',
    );
    expect(() => exactJson(undefined)).toThrow('no JSON for a value of type undefined');
  });
});

test('every other value is that of JSON.parse', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.parse(exactJson(parseExactJson(text)))).toEqual(JSON.parse(text));
    }),
  );
});

test('what is no JSON is a SyntaxError', () => {
  expect(() => parseExactJson('{"a": 2.0,}')).toThrow(SyntaxError);
});
