// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { addressShown, hiding, withoutPasswords } from './secrets.js';

it('a secret is hidden as it is, and as JSON and addresses spell it', () => {
  const value = 'pa"ss/wörd%1';
  const hide = hiding([{ value, shown: '[key]' }]);
  const spellings = [value, JSON.stringify({ value }), encodeURI(`http://h/?${value}`), encodeURIComponent(value)];
  for (const text of spellings) expect(hide(text), text).toContain('[key]');
  expect(hide('a word')).toBe('a word');
});

it('of two secrets, the one that holds the other is hidden as a whole; what stands in its place is not read again', () => {
  const hide = hiding([
    { value: '/data', shown: '${A}' },
    { value: '/data/private', shown: '${/data}' },
  ]);
  expect(hide('/data/private/x and /data/x')).toBe('${/data}/x and ${A}/x');
  expect(hiding([])('/data')).toBe('/data');
});

it('whatever a secret is made of, no text that holds it still does', () => {
  const text = fc.string({ maxLength: 20 });
  const key = fc.string({ unit: fc.constantFrom(...'aK7.*+?^${}()|[]\\/-"% \n'), minLength: 8, maxLength: 12 });
  fc.assert(
    fc.property(text, key, text, (before, value, after) => {
      expect(hiding([{ value, shown: '[key]' }])(before + value + after)).not.toContain(value);
    }),
  );
});

it('addresses are shown without user, password, and what follows ? and #', () => {
  expect(withoutPasswords('get https://user:p@ss@host/x, ssh://git@host/y and a@b.c at http://host/@z')).toBe(
    'get https://[hidden]@host/x, ssh://[hidden]@host/y and a@b.c at http://host/@z',
  );
  expect(addressShown('https://user:pass@host:1/path?token=abc#key')).toBe('https://[hidden]@host:1/path');
  expect(addressShown('/path?token=abc')).toBe('/path');
});

it('long texts of one letter are read at once', () => {
  const started = performance.now();
  for (const unit of ['a', '://', '@', 'a:', 'http://a'])
    expect(withoutPasswords(unit.repeat(5_000_000)).length).toBeGreaterThan(9);
  expect(performance.now() - started).toBeLessThan(5000);
});
