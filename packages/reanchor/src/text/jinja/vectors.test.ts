import { expect, test } from 'vitest';
import { ChatTemplate } from '../chat-template.js';
import { filters, tests } from './registry.js';
import { chats, expressions, type Result, renderChat, renderSource, statements } from './testing/vectors.js';

interface Difference {
  of: string;
  here: Result;
  there: Result;
}

/** The cases that give another text here than in Jinja2, or raise another kind of error. */
const differences = (cases: readonly Difference[]) =>
  cases.filter(({ here, there }) => JSON.stringify(here) !== JSON.stringify(there));

test('450 expressions on 13 texts give what they give in Jinja2', () => {
  const { texts, variables } = expressions;
  const lots = texts.map((x) => ({ ...variables, x }));
  const cases = expressions.expressions.flatMap(({ expression, results }) =>
    renderSource(`{{ ${expression} }}`, lots).map((here, i) => ({
      of: `${expression} of ${JSON.stringify(texts[i])}`,
      here,
      there: results.length === 1 ? results[0]! : results[i]!,
    })),
  );
  expect(cases.length).toBe(450 * 13);
  expect(differences(cases)).toEqual([]);
});

test('statements, white space and scopes are those of Jinja2', () => {
  const cases = statements.statements.map(({ source, result }) => ({
    of: source,
    here: renderSource(source, [statements.variables])[0]!,
    there: result,
  }));
  expect(cases.length).toBeGreaterThan(130);
  expect(differences(cases)).toEqual([]);
});

test.each(chats.templates)('chats under the template $name are those of Jinja2', ({ source, results }) => {
  const template = ChatTemplate.of(source, { specialTokens: chats.special_tokens });
  const cases = chats.chats.map((chat, i) => ({
    of: `chat ${i}`,
    here: renderChat(template, chat),
    there: results[i]!,
  }));
  expect(cases.length).toBe(26);
  expect(differences(cases)).toEqual([]);
});

test('the expressions use every filter, test and method of str', () => {
  const all = expressions.expressions.map(({ expression }) => expression).join('\n');
  const has = (pattern: string) => new RegExp(pattern).test(all);
  const methods =
    'capitalize casefold center count endswith expandtabs find format format_map index isalnum isalpha isascii ' +
    'isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip ' +
    'maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split ' +
    'splitlines startswith strip swapcase title translate upper zfill';
  expect([...filters.keys()].filter((name) => !has(`\\| *${name}\\b`))).toEqual([]);
  expect(
    [...tests.keys()].filter((name) => !has(`is (not )?${name}\\b`) && !has(`'${name}'`) && /\w/.test(name)),
  ).toEqual([]);
  expect(methods.split(' ').filter((name) => !has(`\\.${name}\\b`))).toEqual([]);
});
