// Random expressions and templates, most of which mean something.
import fc from 'fast-check';
import { filters, tests } from '#reanchor/text/jinja/registry.js';

const texts = [
  "'abc'",
  "''",
  "' a b '",
  "'Hello World'",
  "'a,b,c'",
  "'12'",
  "'-3.7'",
  "'x\\ny\\n'",
  '"it\'s"',
  "'é😀ß'",
  "'{}-{a}'",
  "'%s %d'",
  "'<b>&amp; x</b>'",
  "'word-wrap this text, very-long-hyphenated-word'",
];
const numbers = [
  '0',
  '1',
  '2',
  '-1',
  '3',
  '7',
  '-5',
  '1.5',
  '2.0',
  '-0.5',
  '1e3',
  '1e16',
  '12345678901234567890',
  'true',
];
const lists = ['[]', '[1, 2, 3]', "['b', 'a', 'C']", "[{'a': 1}, {'a': 2, 'b': 'x'}]", '(1, 2)', '(1,)', 'range(5)'];
const dicts = ['{}', "{'a': 1}", "{1: 'x', true: 'y'}", "{'B': 1, 'a': 2}", "{'x': {'y': 5}}", "{'items': 3}"];
const names = ['s', 'n', 'f', 'l', 'd', 'undefinedname', 'messages', 'none'];
const words = [
  "'upper'",
  "'a'",
  "'name'",
  "'odd'",
  "'=='",
  "','",
  "' '",
  "'x'",
  "'a.b'",
  "'key'",
  '1',
  '2',
  '0',
  'none',
  'true',
];
const keywords = [
  'attribute',
  'default',
  'case_sensitive',
  'reverse',
  'indent',
  'count',
  'width',
  'first',
  'maxsplit',
  'sep',
];
const methods =
  'capitalize casefold center count endswith expandtabs find format get index isalnum isalpha isdigit islower isspace ' +
  'istitle items join keys ljust lower lstrip partition removeprefix replace rfind rindex rjust rsplit rstrip split ' +
  'splitlines startswith strip swapcase title upper values zfill copy append bit_length';

const oneOf = (values: readonly string[]) => fc.constantFrom(...values);
/** The names of filters that give the same in every run. */
const steady = [...filters.keys()];

/** The variables that the expressions know. */
export const variables = {
  s: 'Some Text é😀',
  n: 5,
  f: 2.5,
  l: [1, 'a', null, [2], { a: 1 }],
  d: { a: { b: 'c' }, name: 'N', x: [1, 2] },
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: null },
  ],
};

const argument = fc.oneof({ weight: 3, arbitrary: oneOf(words) }, oneOf(numbers), oneOf(texts), oneOf(lists));
const argumentList = fc
  .tuple(fc.array(argument, { maxLength: 3 }), fc.option(fc.tuple(oneOf(keywords), argument), { freq: 5 }))
  .map(([given, named]) => [...given, ...(named ? [named.join('=')] : [])].join(', '));

/** Expressions; slices are of variables, since Jinja2 folds those of constants in a way of its own. */
export const expression: fc.Arbitrary<string> = fc.letrec<{ any: string; atom: string }>((tie) => {
  const any = tie('any');
  const both = fc.tuple(any, any);
  const bound = oneOf(['', '', '0', '1', '2', '-1', '-2']);
  return {
    atom: fc.oneof(oneOf(texts), oneOf(numbers), oneOf(lists), oneOf(dicts), oneOf(names)),
    any: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression' },
      tie('atom'),
      fc.tuple(any, oneOf(steady), argumentList).map(([input, name, given]) => `(${input})|${name}(${given})`),
      fc
        .tuple(any, oneOf(methods.split(' ')), argumentList)
        .map(([self, name, given]) => `(${self}).${name}(${given})`),
      fc
        .tuple(both, oneOf(['+', '-', '*', '/', '//', '%', '~']))
        .map(([[a, b], operator]) => `(${a} ${operator} ${b})`),
      fc
        .tuple(both, oneOf(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'and', 'or']))
        .map(([[a, b], operator]) => `(${a} ${operator} ${b})`),
      fc
        .tuple(any, oneOf([...tests.keys()].filter((name) => /^\w/.test(name))), argumentList)
        .map(([input, name, given]) => `(${input} is ${name}(${given}))`),
      fc.tuple(oneOf(['not ', '-', '+']), any).map(([sign, operand]) => `(${sign}${operand})`),
      fc.tuple(both, any).map(([[test, then], otherwise]) => `(${then} if ${test} else ${otherwise})`),
      fc
        .tuple(oneOf(Object.keys(variables)), bound, bound, bound)
        .map(([name, ...bounds]) => `${name}[${bounds.join(':')}]`),
      fc.tuple(any, oneOf(['0', '-1', "'a'", "'items'", 'n'])).map(([object, key]) => `(${object})[${key}]`),
      fc.tuple(any, oneOf(['a', 'name', 'items', 'real', '__class__'])).map(([object, name]) => `(${object}).${name}`),
      both.map(([a, b]) => `[${a}, {'k': ${b}}]`),
    ),
  };
}).any;

const space = oneOf(['', '', ' ', '\n', '  \n', '\n  ', '\t', 'a', 'B\n', '{', '}', '\r\n']);
const begin = oneOf(['{%', '{%', '{%-', '{%+']);
const end = oneOf(['%}', '%}', '-%}', '+%}']);
const tag = (inside: fc.Arbitrary<string>) => fc.tuple(begin, inside, end).map((parts) => parts.join(' '));
const term = oneOf([
  'a',
  'b',
  'x',
  'n',
  'l',
  'ns.a',
  "'t'",
  '1',
  '[1, 2]',
  'a ~ b',
  'x == 1',
  'loop.index',
  'loop.last',
  'loop.length',
  'loop.nextitem',
  'loop.depth',
  'loop.changed(x)',
  'caller()',
  'm(1)',
  'm(a, b)',
  'varargs',
  'kwargs',
  'range(3)',
  'l | length',
  'a | default("d")',
  'x is defined',
  'not a',
  'none',
  'true',
  '{"k": 1}',
  'm',
  'loop(l)',
  'undefinedname',
]);

/** Templates of statements in each other, with all kinds of white space and its control. */
export const template: fc.Arbitrary<string> = fc.letrec<{ body: string; statement: string }>((tie) => {
  const block = (inside: fc.Arbitrary<string>, ...ends: string[]) =>
    fc
      .tuple(tag(inside), ...ends.flatMap((name) => [tie('body'), tag(fc.constant(name))]))
      .map((parts) => parts.join(''));
  const target = oneOf(['a', 'b', 'x', 'a, b', 'ns.a', 'n', '(a, b)']);
  const values = oneOf(['l', '[1, 2, 3]', 'range(2)', '[(1, 2), (3, 4)]', '"ab"', 'undefinedname', '[]']);
  return {
    body: fc
      .tuple(
        fc.array(
          fc.tuple(space, tie('statement')).map((parts) => parts.join('')),
          { maxLength: 3 },
        ),
        space,
      )
      .map(([statements, last]) => statements.join('') + last),
    statement: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'statement' },
      fc.tuple(oneOf(['{{', '{{-']), term, oneOf(['}}', '-}}'])).map((parts) => parts.join(' ')),
      tag(fc.tuple(target, term).map(([name, value]) => `set ${name} = ${value}`)),
      tag(oneOf(['break', 'continue', 'set ns = namespace(a=0)'])),
      block(
        term.map((test) => `if ${test}`),
        'endif',
      ),
      block(
        term.map((test) => `if ${test}`),
        'else',
        'endif',
      ),
      block(
        fc.tuple(values, oneOf(['', ' if x', ' recursive'])).map(([all, how]) => `for x in ${all}${how}`),
        'endfor',
      ),
      block(
        fc.tuple(oneOf(['x', 'a, b']), values).map(([name, all]) => `for ${name} in ${all}`),
        'else',
        'endfor',
      ),
      block(oneOf(['macro m(x)', 'macro m(a, b=a)', 'macro m()']), 'endmacro'),
      block(oneOf(['call m(1)', 'call(a) m()']), 'endcall'),
      block(oneOf(['filter upper', 'filter trim | indent']), 'endfilter'),
      block(oneOf(['with a=1, b=a', 'with']), 'endwith'),
      block(oneOf(['set a', 'set b | upper']), 'endset'),
      block(fc.constant('generation'), 'endgeneration'),
    ),
  };
}).body;
