import { expect, it } from 'vitest';
import { parseYaml } from './yaml.js';

const rest = 'method: dpo\ndata: { train: a }\n';

it.each<[what: string, text: string, message: string, place: string]>([
  [
    'no colon',
    `model: m\nmethod dpo\ndata: { train: a }\n`,
    'a colon is missing after method: a line is key: value',
    '2:1',
  ],
  ['no colon at first', `model m\n${rest}`, 'a colon is missing after model: a line is key: value', '1:1'],
  ['no colon at last', `model: m\nmethod: dpo\ndata\n`, 'a colon is missing after data: a line is key: value', '3:1'],
  ['no space', `model: m\nmethod:dpo\n`, 'a space is missing after the colon of method', '2:1'],
  ['no space in braces', `model: m\ndata: { train:a }\n`, 'a space is missing after the colon of train', '2:9'],
  ['no space after a dash', `data:\n  train:\n  -a\n  - b\n`, 'a space is missing after the dash', '3:3'],
  ['a no-break space', `model:\u00a0m\n${rest}`, 'a no-break space stands where a space belongs', '1:1'],
  ['an equals sign', `model = m\n${rest}`, 'a colon belongs after model, not =', '1:1'],
  [
    'no brace',
    `model: m\ndata: { train: a\nsteps: 3\n`,
    'Flow map must end with a }: the { that opens here is not closed',
    '2:7',
  ],
  [
    'no bracket',
    `data: { train: [a, b }\nsteps: 3\n`,
    'Flow sequence must end with a ]: the [ that opens here is not closed',
    '1:16',
  ],
  [
    'no brace, with braces in quotes and comments',
    `data: { train: "}", # }\n  validation: 'it''s }'\nsteps: 3\n`,
    'Flow map must end with a }: the { that opens here is not closed',
    '1:7',
  ],
  ['a brace too many', `data: { train: a } }\n`, 'a closing bracket too many', '1:20'],
  ['no closing quote', `seed: 1\nmodel: "m\n${rest}`, 'the closing " is missing of the one that opens here', '2:8'],
  [
    'no closing single quote',
    `seed: 'x'\nmodel: 'it''s\n${rest}`,
    "the closing ' is missing of the one that opens here",
    '2:8',
  ],
  [
    'text after a quote',
    `model: "m" x\n${rest}`,
    'text stands behind a value that has ended: put all of it in quotes',
    '1:12',
  ],
  ['a tab', `data:\n\ttrain: a\n`, 'Tabs are not allowed as indentation: use spaces', '2:1'],
  [
    'a line too far in',
    `data:\n  train: a\n   validation: 2\n`,
    'this line is further in than the one before, whose key has a value already',
    '3:4',
  ],
  [
    'a key too far in',
    `model: m\n method: dpo\n`,
    'this line is further in than the one before, whose key has a value already',
    '2:2',
  ],
  [
    'a line between',
    `data:\n    train: a\n  validation: 2\n`,
    'this line is further out than the keys before it, and further in than those above: align it',
    '3:1',
  ],
  [
    'a list beside keys',
    `data:\n  train: a\n  - b\n`,
    'a list begins under a key that has a value, or keys, already',
    '3:1',
  ],
  ['a colon in a value', `model: C: m\n${rest}`, 'a value with a colon and a space in it needs quotes', '1:8'],
  ['no comma', `data: { train: a validation: 2 }\n`, 'a comma is missing between keys in { }', '1:16'],
  ['a comma too many', `data: { train: a,, validation: 2 }\n`, 'a comma too many', '1:18'],
  ['an at sign', `model: @m\n`, 'Plain value cannot start with reserved character @: put the value in quotes', '1:8'],
  [
    'a backslash',
    `model: "C:\\models"\n`,
    'Invalid escape sequence \\m: write \\\\ for a backslash, or use single quotes',
    '1:11',
  ],
  ['an exclamation mark', `model: !m\n`, 'Unresolved tag: !m: a value that begins with ! needs quotes', '1:8'],
  ['a star', `model: *m\n${rest}`, '*m stands for nothing: a value that begins with * needs quotes', '1:8'],
  [
    'a second document',
    `model: m\n---\n${rest}`,
    'a second document begins: a recipe is one, without a line ---',
    '2:1',
  ],
])('%s: what is missing, and where', (_, text, message, place) => {
  const { problems } = parseYaml(text);
  expect(problems.map((problem) => [problem.message, `${problem.position?.line}:${problem.position?.column}`])).toEqual(
    [[message, place]],
  );
});

it('what follows from a slip is not told, keys that are given twice are', () => {
  const { problems } = parseYaml('model: a\nmodel: b\nseed: 1\nseed: 2\nmethod dpo\nx y\nz: {\n');
  expect(problems.map(({ message }) => message)).toEqual([
    'model: this key is given twice',
    'seed: this key is given twice',
    expect.stringMatching(/^a colon is missing after method/),
  ]);
});
