import { expect, test } from 'vitest';
import { parseExactJson } from '../../formats/exact-json.js';
import { Float, parseTemplate, render, TemplateError } from './index.js';

const shown = (value: unknown) => render(parseTemplate('{{ [x] }}'), { x: value }).slice(1, -1);

test('values of JSON become those of Python', () => {
  expect(shown([1, -0, 1.5, 1e20, 2 ** 53, 10n ** 20n, true, null, 'a', { b: [] }])).toBe(
    "[1, 0, 1.5, 100000000000000000000, 9007199254740992, 100000000000000000000, True, None, 'a', {'b': []}]",
  );
  expect(shown([Number.NaN, Number.POSITIVE_INFINITY])).toBe('[nan, inf]');
});

test('a number that JSON writes with a point stays a float', () => {
  expect(shown([new Float(2), new Float(-0)])).toBe('[2.0, -0.0]');
  expect(render(parseTemplate('{{ x | tojson }}{{ x.a + 1 }}'), { x: { a: new Float(2) } })).toBe('{"a": 2.0}3.0');
});

test('fields without a value are absent, and names of JavaScript are names', () => {
  const source = "{{ x.a is defined }}{{ x.b is none }}{{ x['__proto__'] }}{{ x.constructor }}{{ x | length }}";
  const x: unknown = JSON.parse('{"b": null, "__proto__": 1, "constructor": 2}');
  expect(render(parseTemplate(source), { x: Object.assign(x as object, { a: undefined }) })).toBe('FalseTrue123');
});

test.each([
  ['a date', new Date(0), /a Date is no value of a chat/],
  ['bytes', new Uint8Array(2), /a Uint8Array is no value of a chat/],
  ['a function', () => 1, /a function is no value of a chat/],
])('%s is refused where it is shown', (_name, value, message) => {
  expect(() => shown({ value })).toThrow(message);
});

test('a date that a template does not use does no harm; its parts are not there', () => {
  const of = (source: string) => render(parseTemplate(source), { x: { at: new Date(0), role: 'user' } });
  expect(of('{{ x.role }}{{ x.at is none }}')).toBe('userFalse');
  for (const source of ['{{ x }}', '{{ x.at.year }}', '{{ x.at ~ 1 }}']) {
    expect(() => of(source), source).toThrow(/a Date is no value of a chat: give it as text/);
  }
  expect(() => of('{{ x | tojson }}')).toThrow('Object of type Date is not JSON serializable');
});

test('fields stand in the order of the JSON', () => {
  const x = parseExactJson('{"b": 1, "2": 2, "1": 3}');
  expect(render(parseTemplate('{{ x | tojson }}'), { x })).toBe('{"b": 1, "2": 2, "1": 3}');
});

test('objects that lie in themselves are refused', () => {
  const x: Record<string, unknown> = {};
  x.x = x;
  expect(() => shown(x)).toThrow(TemplateError);
  expect(() => shown(x)).toThrow(/too deep/);
});
