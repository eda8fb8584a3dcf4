import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatReply } from './chat-reply.js';
import { KeyGuard } from './key-guard.js';

const key = 'sk-Proj_7Hq2mZ0xYt4w';
const guard = new KeyGuard(key);
const codes = (code: (letter: string) => string) => [...key].map(code).join('');
const hex = (letter: string) => letter.charCodeAt(0).toString(16);

test('the key is no part of a reply, in whichever of its texts it stands', () => {
  const top = [{ token: `<${key}>`, logprob: -1 }];
  const reply: ChatReply = {
    text: `a ${key} b ${key}`,
    finish: key,
    model: key,
    tokens: [{ token: key, logprob: 0, top }],
  };
  expect(JSON.stringify(guard.reply(reply))).not.toContain(key);
  expect(guard.reply(reply)).toMatchObject({ text: 'a [key] b [key]', tokens: [{ token: '[key]', logprob: 0 }] });
});

describe('a reply that spells the key in another way is none', () => {
  const spellings: Record<string, string> = {
    'in capitals': key.toUpperCase(),
    'letter by letter': codes((letter) => `${letter} `),
    'with marks that are not seen': codes((letter) => `${letter}\u200b`),
    'in wide letters': codes((letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xfee0)),
    'in letters of mathematics': codes((letter) => {
      const capital = /[A-Z]/.test(letter) ? 0x1d400 - 65 : /[a-z]/.test(letter) ? 0x1d41a - 97 : 0;
      return String.fromCodePoint(letter.charCodeAt(0) + capital);
    }),
    backwards: [...key].reverse().join(''),
    'as escapes of JSON': codes((letter) => `\\u00${hex(letter)}`),
    'as escapes of C': codes((letter) => `\\x${hex(letter)}`),
    'as hexadecimal numbers': Buffer.from(key).toString('hex'),
    'as an address writes it': codes((letter) => `%${hex(letter)}`),
    'as HTML writes it': codes((letter) => `&#${letter.charCodeAt(0)};`),
    'as HTML writes it in hexadecimal numbers': codes((letter) => `&#x${hex(letter)};`),
  };
  test.each(Object.entries(spellings))('%s', (_, text) => {
    expect(guard.reply({ text: `Winner: A ${text}.` })).toEqual({ malformed: expect.stringContaining('the key') });
  });

  test('in base64, whatever stands before and behind', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.constantFrom('base64', 'base64url'), (before, after, way) => {
        const text = Buffer.from(`${before}${key}${after}`).toString(way as 'base64');
        expect(guard.reply({ text })).toHaveProperty('malformed');
      }),
    );
  });

  test('over several tokens, or over the candidates of a place or of several', () => {
    const parts = key.match(/.{1,5}/g)!;
    const token = (text: string, top: string[] = []) => ({
      token: text,
      logprob: -1,
      top: top.map((one) => ({ token: one, logprob: -2 })),
    });
    for (const tokens of [
      parts.map((part) => token(part)),
      [token('A', parts)],
      parts.map((part) => token('A', ['B', part])),
    ])
      expect(guard.reply({ text: 'A', tokens })).toHaveProperty('malformed');
  });
});

test('other replies stay as they are, and so does every reply where the key is a placeholder', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(guard.reply({ text, finish: 'stop' })).toEqual({ text, finish: 'stop' });
    }),
  );
  for (const placeholder of [undefined, 'EMPTY', 'none'])
    expect(new KeyGuard(placeholder).reply({ text: 'EMPTY none' })).toEqual({ text: 'EMPTY none' });
});

test('a reply of 8 MiB is looked through in seconds, whatever it is made of', () => {
  const started = performance.now();
  for (const unit of ['a', key.slice(0, -1), '\ufdfa', '[key]']) {
    const text = unit.repeat((1 << 23) / Buffer.byteLength(unit));
    expect(guard.reply({ text })).toHaveProperty('text');
  }
  expect(performance.now() - started).toBeLessThan(10_000);
});
