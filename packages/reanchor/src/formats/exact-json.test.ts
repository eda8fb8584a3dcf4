import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { entriesInOrder, exactJson, Float, parseExactJson, plainFields } from './exact-json.js';

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

  test('in every place, that of a row itself too', () => {
    expect(parseExactJson('{"score": 7.0, "a": {"x": 7.0}}')).toEqual({ score: new Float(7), a: { x: new Float(7) } });
  });

  test('unless a reader takes the fields of a row as counts', () => {
    const row = parseExactJson('{"score": 7.0, "n": 12345678901234567890, "a": {"x": 7.0}}');
    expect(plainFields(row)).toEqual({ score: 7, n: 12345678901234567000, a: { x: new Float(7) } });
  });

  test('with an indent, and for what has no JSON, as JSON.stringify does', () => {
    expect(exactJson([{ a: 10n ** 20n, b: undefined, c: new Float(1) }], 1)).toBe(
      '[\n {\n  "a": 100000000000000000000,\n  "c": 1.0\n }\n]',
    );
    expect(() => exactJson(undefined)).toThrow('no JSON for a value of type undefined');
  });

  test('JSON.stringify writes them as numbers', () => {
    expect(JSON.stringify(parseExactJson('{"a":{"x":2.0}}'))).toBe('{"a":{"x":2}}');
  });
});

describe('keys stay in their order', () => {
  test('where JavaScript would put those first that look like numbers', () => {
    const value = parseExactJson('{"a": {"b": 1, "10": "10", "2": {"c": 2.0, "1": 3}}}') as { a: object };
    expect(entriesInOrder(value.a).map(([name]) => name)).toEqual(['b', '10', '2']);
    expect(entriesInOrder({ ...value.a, d: 1 }).map(([name]) => name)).toEqual(['b', '10', '2', 'd']);
    const { a } = value as { a: Record<string, object> };
    expect(a['10']).toBe('10');
    expect(entriesInOrder(a['2']!)).toEqual([
      ['c', new Float(2)],
      ['1', 3],
    ]);
  });

  test('of any other object too', () => {
    expect(entriesInOrder({ b: 1, a: 2 })).toEqual([
      ['b', 1],
      ['a', 2],
    ]);
  });
});

describe('a value is written as it was read', () => {
  test.each(['{"b":{"n":2.0,"1":-0.0,"x":1e+30},"a":[12345678901234567890,"2.0","12",null]}', '"12"', '[1.5,true]'])(
    '%s',
    (text) => {
      expect(exactJson(parseExactJson(text))).toBe(text);
    },
  );

  test('any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value = parseExactJson(text);
        expect(parseExactJson(exactJson(value))).toEqual(value);
      }),
    );
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
