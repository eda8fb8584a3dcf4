// Tokenizers and chat templates that somebody else wrote: what they cannot do.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { processorMs } from '../../../../tests/support/processor-time.js';
import { fixtures } from '../../../../tests/support/repository.js';
import { encodeChat, encodePrompt } from '../data/encode.js';
import { FormatError, UserError } from '../errors.js';
import { ChatTemplate } from './chat-template.js';
import { hasForeignPattern } from './patterns.js';
import { TimeLimitError, withinTime } from './time-limit.js';
import { parseTokenizer, type Tokenizer } from './tokenizer.js';

const definition = JSON.parse(readFileSync(join(fixtures, 'tokenizer/tokenizer.json'), 'utf8')) as Record<
  string,
  unknown
>;
const tokenizer = parseTokenizer(definition, { config: { eos_token: '</s>', bos_token: '<s>' } });
const soon = <T>(compute: () => T): T => {
  const begin = processorMs();
  try {
    return compute();
  } finally {
    expect(processorMs() - begin).toBeLessThan(2000);
  }
};

/** The error of what must be refused, and soon. */
function refusal(use: () => unknown): Error {
  try {
    soon(use);
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was not refused');
}

describe('a limit on time', () => {
  test('ends a regular expression and a loop, and leaves results and errors as they are', () => {
    expect(() => withinTime(50, () => /^(a+)+$/.test(`${'a'.repeat(60)}b`))).toThrow(TimeLimitError);
    expect(() =>
      withinTime(50, () => {
        for (;;);
      }),
    ).toThrow('it was not done after 50 ms');
    expect(withinTime(50, () => withinTime(50, () => 1) + 1)).toBe(2);
    const own = new RangeError('own');
    expect(() =>
      withinTime(50, () => {
        throw own;
      }),
    ).toThrow(own);
    // After an inner limit the outer computation goes on.
    const inner = () => withinTime(20, () => /^(a+)+$/.test(`${'a'.repeat(60)}b`));
    expect(
      withinTime(1000, () => {
        try {
          inner();
        } catch {
          return 'ended';
        }
        return 'not';
      }),
    ).toBe('ended');
  });
});

describe('a tokenizer', () => {
  const withSplit = (Regex: string, behavior = 'Isolated') => ({
    ...definition,
    pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior, invert: false },
  });

  test.each([
    ['(a+)+$', 'Isolated'],
    ['(?:a|a)*x', 'Contiguous'],
    ['(.*)*!!', 'MergedWithNext'],
    ['(\\w+\\s?)*!', 'Isolated'],
  ])('with the pattern %s is refused at the text on which it takes too long', (regex, behavior) => {
    const hostile = parseTokenizer(withSplit(regex, behavior), { file: 'x/tokenizer.json' });
    const error = refusal(() => hostile.encode(`${'a'.repeat(5000)}b`));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(
      /x\/tokenizer\.json: a regular expression in it takes too long for a text of 5001 characters/,
    );
  });

  test('with a pattern in its normalizer likewise', () => {
    const normalizer = { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: ' ' };
    const hostile = parseTokenizer({ ...definition, normalizer });
    expect(refusal(() => hostile.encode(`${'a'.repeat(5000)}b`)).message).toMatch(/takes too long/);
  });

  test('of a published kind pays nothing for that', () => {
    const llama3 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
    expect(hasForeignPattern([withSplit(llama3)])).toBe(false);
    expect(hasForeignPattern([withSplit('\\d')])).toBe(false);
    expect(hasForeignPattern([withSplit('\\d+')])).toBe(true);
    expect(hasForeignPattern([{ type: 'Replace', pattern: { String: '(a+)+$' } }])).toBe(false);
  });

  test('with tokens that strip white space reads a long run of it at once', () => {
    const token = {
      id: 3,
      content: '<x>',
      single_word: false,
      lstrip: true,
      rstrip: true,
      normalized: false,
      special: true,
    };
    const stripping = parseTokenizer({
      ...definition,
      added_tokens: [...(definition.added_tokens as object[]), token],
    });
    expect(soon(() => stripping.encode(`a${' '.repeat(200_000)}b`)).length).toBeGreaterThan(2);
    expect(stripping.encode('a \n <x>\t b')).toEqual(stripping.encode('a<x>b'));
  });

  test.each([
    [{ post_processor: { type: 'Sequence', processors: [null] } }, /the post-processor has a part that is null/],
    [
      { post_processor: { type: 'TemplateProcessing', single: [null], pair: [], special_tokens: {} } },
      /not a supported tokenizer/,
    ],
  ])('whose parts are not what they should be is refused where that shows: %j', (part, message) => {
    const error = refusal(() => parseTokenizer({ ...definition, ...part }).encode('text'));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(message);
  });

  test('of parts in parts without end is refused', () => {
    let pre_tokenizer: unknown = { type: 'ByteLevel' };
    for (let i = 0; i < 5000; i++) pre_tokenizer = { type: 'Sequence', pretokenizers: [pre_tokenizer] };
    expect(() => parseTokenizer({ ...definition, pre_tokenizer })).toThrow(/parts lie in each other/);
  });
});

describe('a chat template', () => {
  const chat = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
  ];

  test('of white space is not looked through from each of its characters', () => {
    const error = refusal(() => ChatTemplate.of(`{% set x = ${' '.repeat(250_000)}`, { name: 'wide.jinja' }));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/wide\.jinja: not a chat template that can be read/);
  });

  test.each([
    ['{% for a in range(60000) %}{% for b in range(60000) %}{% endfor %}{% endfor %}', encodePrompt],
    [
      '{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}',
      (row: { prompt: typeof chat }, model: Tokenizer, of: { template: ChatTemplate }) =>
        encodeChat({ prompt: [] }, row.prompt, model, of),
    ],
  ])('that takes too long is an error that names it: %s', (source, encode) => {
    const error = refusal(() =>
      encode({ prompt: chat }, tokenizer, { template: ChatTemplate.of(source, { name: 'slow.jinja' }) }),
    );
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/slow\.jinja: the chat template takes too long/);
  });

  test.each([
    ['{% macro m(x) %}{{ x | replace("a", "b") }}{{ m(x) }}{% endmacro %}{{ m("a") }}', /goes into itself without end/],
    [
      '{% set ns = namespace(a="x") %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}',
      /grow without bound/,
    ],
    [
      '{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}',
      /grow without bound/,
    ],
    ['{% set ns = namespace(a=1) %}{% set ns.a = [ns] %}{{ ns.a }}', /lie in each other too deep/],
    [
      '{% set ns = namespace(a=1) %}{% for i in range(9999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a | tojson }}',
      /lie in each other too deep/,
    ],
    ['{{ "x" | indent(999999999, true) }}', /refuses it/],
    ['{{ messages | tojson(indent=999999999) }}', /refuses it/],
    ['{{ range(10 ** 12) }}', /refuses it/],
    ['{{ messages.constructor.constructor("return process")() }}', /refuses it/],
    ['{{ raise_exception.constructor("return process")() }}', /refuses it/],
    ['{% include "/etc/passwd" %}', /not a chat template/],
    ['{% import "os" as os %}', /not a chat template/],
    [`{{ ${'('.repeat(50_000)}1 }}`, /not a chat template/],
    [`${'{% if true %}'.repeat(10_000)}x${'{% endif %}'.repeat(10_000)}`, /not a chat template|goes into itself/],
    [`{{ ${'1 + '.repeat(20_000)}1 }}`, /goes into itself/],
  ])('that wants too much or what it may not have is refused: %#', (source, message) => {
    const error = refusal(() => encodePrompt({ prompt: chat }, tokenizer, { template: ChatTemplate.of(source) }));
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(message);
  });

  test('sees nothing of the objects behind its values', () => {
    const names = ['__proto__', 'constructor', 'prototype', 'toString', '__class__'];
    const source = names
      .map((name) => `{{ messages.${name} }}{{ messages[0].${name} }}{{ range["${name}"] }}`)
      .join('');
    expect(ChatTemplate.of(source).render(chat)).toBe('');
  });
});
