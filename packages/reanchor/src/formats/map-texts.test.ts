import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mapTexts } from './map-texts.js';

it('changes texts, wherever they are, and nothing else', () => {
  const value = { a: 'x', b: [1, 'x', { c: 'x', d: null, e: true }], x: undefined };
  expect(mapTexts(value, (text, path) => `${text} at ${path.join('.')}`)).toEqual({
    a: 'x at a',
    b: [1, 'x at b.1', { c: 'x at b.2.c', d: null, e: true }],
    x: undefined,
  });
});

it('gives back any JSON as it was when nothing is changed, keys of any name among it', () => {
  const json = '{"__proto__":{"a":"b"},"constructor":["c"]}';
  expect(JSON.stringify(mapTexts(JSON.parse(json), (text) => text))).toBe(json);
  fc.assert(fc.property(fc.jsonValue(), (value) => void expect(mapTexts(value, (text) => text)).toEqual(value)));
});
