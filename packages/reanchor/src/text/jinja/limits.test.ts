import { describe, expect, test } from 'vitest';
import { processorMs } from '../../../../../tests/support/processor-time.js';
import { FormatError } from '../../errors.js';
import { ChatTemplate } from '../chat-template.js';
import { parseTemplate, render } from './index.js';

/** The message of what a template is refused with, and soon, without a limit on its time. */
function refusal(source: string): string {
  const begin = processorMs();
  try {
    render(parseTemplate(source), { messages: [{ role: 'user', content: 'x'.repeat(100_000) }] });
  } catch (error) {
    expect(processorMs() - begin).toBeLessThan(2500);
    return (error as Error).message;
  }
  throw new Error(`${source} was not refused`);
}

const growing = /grow without bound/;

describe('one expression makes no value beyond the limits', () => {
  test.each([
    "'x' * 10 ** 9",
    '[0] * 10 ** 9',
    '(1, 2) * 10 ** 8',
    "'x'.ljust(10 ** 9)",
    "'x'.center(10 ** 9, 'é')",
    "'x'.zfill(10 ** 9)",
    "'\\t'.expandtabs(10 ** 9)",
    "'x' | center(10 ** 9)",
    "'%1000000000d' % 1",
    "'%*s' % (10 ** 9, 1)",
    "'%.1000000000f' % 1",
    "'{:1000000000}'.format(1)",
    "'{:.1000000000f}'.format(1.5)",
    "'{:{}}'.format(1, 10 ** 9)",
    'messages[0].content | replace("", messages[0].content)',
    'messages[0].content | replace("x", "y" * 1000)',
    'messages[0].content.join(messages[0].content)',
    'messages[0].content | join(messages[0].content)',
    'messages[0].content | map("center", 1000) | join',
    '"a\\nb" | indent(10 ** 9)',
    '[1, 2] | tojson(indent=10 ** 9)',
    '([messages[0].content] * 1000) | string',
    '([messages[0].content] * 1000) | tojson',
    '([messages[0].content] * 1000) | pprint',
    '([messages[0].content] * 1000) | join',
    '[1] | batch(10 ** 9, "x") | list',
    '[1] | slice(10 ** 9) | list',
    'messages[0].content.translate({120: "y" * 1000})',
    '10 ** (10 ** 9)',
    '2 ** 100000 * 2 ** 100000',
    'messages[0].content | int(base=16)',
    'messages[0].content.replace("x", "a") | int(base=16)',
    '{((1,) * 1000000,): 1, ((1,) * 9000000,): 2}',
  ])('%s', (expression) => {
    expect(refusal(`{{ ${expression} }}`)).toMatch(/grow without bound|invalid literal/);
  });
});

describe('nor do many', () => {
  test.each([
    ['{% for i in range(99999) %}{{ messages[0].content }}{% endfor %}', growing],
    ['{% set ns = namespace(a=(1,)) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}', growing],
    [
      '{% set ns = namespace(a=1) %}{% for i in range(60) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ {ns.a: 1} }}',
      /./,
    ],
    ['{% set ns = namespace(a="<" | safe) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}', growing],
    ['{% set ns = namespace(a=3) %}{% for i in range(60) %}{% set ns.a = ns.a * ns.a %}{% endfor %}', growing],
    [
      '{% set ns = namespace(f=none) %}{% macro m() %}{{ ns.f() }}{% endmacro %}{% set ns.f = m %}{{ m() }}',
      /goes into itself/,
    ],
    ['{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}', /goes into itself/],
    [`{{ ${'['.repeat(1000)}${']'.repeat(1000)} }}`, /goes into itself/],
    [`{{ ${'not '.repeat(1000)} 1 }}`, /goes into itself/],
    [`{{ ${'-'.repeat(1000)} 1 }}`, /goes into itself/],
    [`{{ ${'x.a'.repeat(1000)} }}`, /goes into itself/],
    [`{{ 1 ${'| abs'.repeat(1000)} }}`, /goes into itself/],
    [`{{ 1 ${'if 1 else 1 '.repeat(1000)} }}`, /goes into itself/],
    [`{% set ${'('.repeat(1000)}a${')'.repeat(1000)} = 1 %}`, /goes into itself/],
  ])('%#', (source, message) => {
    expect(refusal(source)).toMatch(message);
  });

  test('patterns take no more than their time', () => {
    const text = `messages[0].content ~ '!' ~ messages[0].content`;
    for (const filter of ['urlize', 'striptags', 'wordwrap(1)', 'wordcount', 'title']) {
      const begin = processorMs();
      try {
        ChatTemplate.of(`{{ (${text}) | ${filter} }}`).render([{ role: 'user', content: 'x@a.<a-'.repeat(15_000) }]);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
      expect(processorMs() - begin, filter).toBeLessThan(2500);
    }
  });
});
