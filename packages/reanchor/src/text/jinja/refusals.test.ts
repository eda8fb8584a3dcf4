import { describe, expect, test } from 'vitest';
import { parseTemplate, render, TemplateError } from './index.js';

function refusal(source: string, variables = {}): TemplateError {
  try {
    render(parseTemplate(source), variables);
  } catch (error) {
    if (error instanceof TemplateError) return error;
    throw error;
  }
  throw new Error(`${source} was not refused`);
}

describe('what Python has and this has not is refused by its name', () => {
  test.each([
    ['{% block a %}{% endblock %}', /^\{% block %\} is not supported/],
    ['{% extends "a" %}', /^\{% extends %\} is not supported/],
    ['{% include "a" %}', /^\{% include %\} is not supported/],
    ['{% import "a" as b %}', /^\{% import %\} is not supported/],
    ['{% from "a" import b %}', /^\{% from %\} is not supported/],
    ['{% autoescape true %}{% endautoescape %}', /^\{% autoescape %\} is not supported/],
    [
      '{% if false %}{% for i in [1] %}{{ [1] | random }}{% endfor %}{% endif %}',
      /^the filter random \(line 1\) is not/,
    ],
  ])('%s, before it is rendered', (source, message) => {
    expect(() => parseTemplate(source)).toThrow(message);
  });

  test.each([
    ['{{ lipsum() }}', /lipsum/],
    ['{{ "\\N{DIGIT ONE}" }}', /\\N\{\.\.\.\}/],
    ['{{ "a".encode() }}', /str\.encode, which gives bytes,/],
    ['{{ (5).to_bytes(2) }}', /int\.to_bytes/],
    ['{{ (1.5).hex() }}', /float\.hex/],
    ['{{ (-8) ** 0.5 }}', /a complex number/],
    ['{{ [1] | map("string") }}', /the text of a generator, an address in memory,/],
    ['{{ "a".upper }}', /the text of a builtin_function_or_method/],
    ['{{ "&hearts;" | striptags }}', /the HTML entity &hearts;/],
    ['{{ ([1] | random) if true }}', /the filter random/],
  ])('%s, where it is used', (source, message) => {
    const error = refusal(source);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/not supported|line/);
  });
});

test('what is wrong with a template is told with its line', () => {
  expect(refusal('a\n{% if x %}\n{% nosuch %}').message).toBe(
    "unknown tag 'nosuch', where 'elif' or 'else' or 'endif' is expected (line 3)",
  );
  expect(refusal('a\n\n{{ x | nosuch }}').message).toBe("No filter named 'nosuch'. (line 3)");
  expect(refusal('{{ (1 }}\n').message).toBe("unexpected '}', expected ')' (line 1)");
});

describe('a template sees nothing behind its values', () => {
  const messages = [{ role: 'user', content: 'a' }];

  test.each(['constructor', 'prototype', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'then'])(
    '%s',
    (name) => {
      const values = [
        'messages',
        'messages[0]',
        'messages[0].content',
        'range',
        'namespace()',
        'none',
        '1',
        '1.5',
        '[]',
      ];
      const source = values.map((value) => `{{ (${value}).${name} }}{{ (${value})['${name}'] }}`).join('');
      expect(render(parseTemplate(source), { messages })).toBe('');
      expect(render(parseTemplate(`{{ ${name} }}`), { messages })).toBe('');
      expect(render(parseTemplate(`{{ {'${name}': 1}['${name}'] }}`), { messages })).toBe('1');
    },
  );

  test('nor changes them', () => {
    for (const change of [
      'messages.append(1)',
      'messages.clear()',
      'messages[0].update({})',
      'messages[0].pop("role")',
    ]) {
      expect(refusal(`{{ ${change} }}`, { messages }).kind).toBe('SecurityError');
    }
    render(parseTemplate('{% set ns = namespace(messages[0]) %}{% set ns.role = 1 %}{% set messages = [] %}'), {
      messages,
    });
    expect(messages).toEqual([{ role: 'user', content: 'a' }]);
  });
});
