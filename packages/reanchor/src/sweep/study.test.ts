import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { repositoryRoot } from '../../../../tests/support/repository.js';
import { settingName } from '../eval/front/study-rows.js';
import { evaluate, parseExpression } from './expression.js';
import { settingsOf } from './settings.js';
import { parseStudy } from './study.js';
import { studySchema } from './study-schema.js';

const base = `base:
  model: "\${stages.sft}"
  method: dpo
  steps: 4
  data: { train: "\${stages.pairs}" }
stages:
  sft: { train: { model: start, method: sft, data: { train: texts.jsonl }, steps: 2 } }
  pairs:
    sample: { model: "\${stages.sft}", prompts: prompts.jsonl, samples: 4 }
    label: { score: afinn - length }
measure: { every: 2, prompts: held-out.jsonl, scores: { gold: afinn, short: -0.5*length + 1 } }
`;
const arms = (text: string) => parseStudy(`${base}arms:\n${text}`, 'study.yaml');
const settings = (text: string) => settingsOf(arms(text));
/** The problems of a study, without its first line. */
function problems(text: string): string {
  try {
    settingsOf(parseStudy(text, 'study.yaml'));
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
}

test('a study that samples and labels in one stage has two, the answers under a name of their own', () => {
  const study = arms('  a: {}\n');
  expect(Object.keys(study.stages)).toEqual(['sft', 'pairs-answers', 'pairs']);
  expect(study.stages.pairs).toEqual({
    label: { answers: `\${stages.pairs-answers}`, score: 'afinn - length', keep: 'bestAndWorst', flip: 0, seed: 1 },
  });
  expect(study.replicates).toEqual({ over: 'order', seeds: [1] });
  expect(study.save).toBe('none');
});

test('lists are a grid, arms inherit, and a section is taken as a whole', () => {
  const found = settings(`
  dpo: { loss.beta: [0.03, 0.1], optimizer.lr: [1e-4, 3e-4] }
  hard: { base: dpo, loss.beta: 0.3, reference: { update: hard, tau: 2 } }
  plain: {}
`);
  expect(found.map(({ arm, name }) => `${arm}/${name}`)).toEqual([
    'dpo/beta=0.03,lr=0.0001',
    'dpo/beta=0.03,lr=0.0003',
    'dpo/beta=0.1,lr=0.0001',
    'dpo/beta=0.1,lr=0.0003',
    expect.stringMatching(/^hard\/lr=0.0001,beta=0.3,reference=update-hard,tau-2-[\da-f]{8}$/),
    expect.stringMatching(/^hard\/lr=0.0003,beta=0.3,reference/),
    'plain/base',
  ]);
  expect(found[4]!.key).toEqual({ 'optimizer.lr': 1e-4, 'loss.beta': 0.3, reference: { update: 'hard', tau: 2 } });
  expect(found[4]!.recipe).toMatchObject({ loss: { beta: 0.3 }, reference: { update: 'hard', tau: 2 }, steps: 4 });
  expect(found[4]!.recipe.model).toBe(`\${stages.sft}`);
});

test('of a key whose value is a list, a list of lists is a grid', () => {
  expect(settings('  a: { optimizer.betas: [0.9, 0.95] }\n').map(({ key }) => key)).toEqual([
    { 'optimizer.betas': [0.9, 0.95] },
  ]);
  const two = settings('  a: { optimizer.betas: [[0.9, 0.95], [0.9, 0.99]] }\n');
  expect(two.map(({ recipe }) => recipe.optimizer.betas[1])).toEqual([0.95, 0.99]);
  expect(new Set(two.map(({ name }) => name)).size).toBe(2);
});

test('names of folders tell settings apart that look alike', () => {
  const names = [{ 'a.x': 1, 'b.x': 2 }, { 'a.x': 2, 'b.x': 1 }, { 'a.x': 'a/b' }, { 'a.x': 'a-b' }, { 'a.x': null }];
  expect(new Set(names.map(settingName)).size).toBe(names.length);
  for (const name of names.map(settingName)) expect(name).toMatch(/^[\w.,=+-]+$/);
});

test.each([
  ['seed: 1\n', 'seed: unknown key; the keys of a study are base, stages', 'study.yaml:12:1'],
  ['arm: {}\n', 'arm: unknown key; did you mean arms?', 'study.yaml:12:1'],
  ['arms: { a: {} }\nsave: end\n', 'save: "end" is not allowed: save is the models', 'study.yaml:13:7'],
  ['arms: { a: { loss.bta: 1 } }\n', 'loss.bta: unknown key; did you mean loss.beta?', 'study.yaml:12:24'],
  ['arms: { a: { loss.beta: [0.1, -1] } }\n', 'loss.beta: -1 is not allowed', 'study.yaml:12:25'],
  [`arms: { a: { model: "\${stages.sfd}" } }\n`, 'there is no stage sfd; did you mean sft?', 'study.yaml:12:21'],
  ['arms: { a: { base: c }, b: {} }\n', 'arms.a.base: there is no arm c; did you mean a?', 'study.yaml:12:20'],
  ['arms: { a: { base: b }, b: { base: a } }\n', 'inherits from itself: a -> b -> a', 'study.yaml:12'],
  ['arms: { a/b: {} }\n', 'a name has letters, digits', 'study.yaml:12'],
  ['arms: {}\n', 'arms: empty', 'study.yaml:12'],
  [
    'arms: { a: {} }\nreplicates: { over: pair, seeds: [1] }\n',
    'pair is no stage; did you mean pairs?',
    'study.yaml:13:21',
  ],
  [
    'arms: { a: {} }\nreplicates: { seeds: [] }\n',
    'replicates.seeds: [] is not allowed: seeds is the list of seeds',
    'study.yaml:13',
  ],
])('%j is told with what is allowed, and its place', (text, message, place) => {
  const told = problems(base + text);
  expect(told).toContain(message);
  expect(told).toContain(place);
});

test.each([
  ['score: afinn - length', 'score: kl', 'there is no score kl; an expression may have afinn, length, surprise'],
  ['score: afinn - length', 'score: { seconds: 3 }', 'a score has one of the keys command, surprise and reward'],
  ['label: { score: afinn - length }', 'label: { score: afinn, answers: a.jsonl }', 'it needs answers: name them'],
  ['gold: afinn', 'gold: afin', 'there is no score afin; did you mean afinn?'],
  ['gold: afinn', 'gold: afinn *', 'a number or a name is missing at the end'],
  ['every: 2,', '', 'measure.every: missing: every is the number of steps from one'],
  ['sft: { train', 'sft: { trian', 'stages.sft.trian: unknown key; did you mean train?'],
  ['model: start', `model: "\${stages.sft}"`, 'stages.sft: it depends on itself'],
  [`{ train: "\${stages.pairs}" }`, `{ train: \${stages.pairs} }`, 'needs quotes'],
])('with %j as %j the study is refused', (from, to, message) => {
  expect(base).toContain(from);
  expect(problems(`${base.replace(from, to)}arms: { a: {} }\n`)).toContain(message);
});

test('an expression is numbers and names with +, - and *, and its value that of arithmetic', () => {
  const value = (text: string) => {
    const terms = parseExpression(text);
    return typeof terms === 'string' ? terms : evaluate(terms, (name) => ({ a: 2, b_1: 5 })[name]!);
  };
  expect(value('a')).toBe(2);
  expect(value('a - 0.05 * b_1')).toBe(1.75);
  expect(value('-a*3+b_1-1e1 + .5')).toBe(-10.5);
  expect(value('2*b_1*3')).toBe(30);
  expect(value('a * b_1')).toMatch('not linear');
  expect(value('a b_1')).toMatch('operator (+, -, *) is missing before b_1');
  expect(value('')).toMatch('missing at the end');
  expect(value('a +')).toMatch('missing at the end');
  expect(value('a / 2')).toMatch('missing before /');
  expect(value('a.constructor')).toMatch('missing before .');
  expect(value('(a)')).toMatch('missing before (');
});

test('docs/guide/sweep.md names every key of a study', () => {
  const text = readFileSync(join(repositoryRoot, 'docs/guide/sweep.md'), 'utf8');
  const keys = new Set<string>();
  const collect = (schema: z.core.JSONSchema.BaseSchema): void => {
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      keys.add(name);
      collect(inner as typeof schema);
    }
    for (const inner of [schema.additionalProperties, schema.items, ...(schema.anyOf ?? [])]) {
      if (typeof inner === 'object') collect(inner as typeof schema);
    }
  };
  collect(z.toJSONSchema(studySchema, { io: 'input' }));
  expect(keys.size).toBeGreaterThan(20);
  expect([...keys].filter((key) => !new RegExp(`\\b${key}\\b`).test(text))).toEqual([]);
});

test('a study lies on those that it extends: keys over keys, an arm out by null, and each mistake in its own file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'study-'));
  writeFileSync(join(folder, 'under.yaml'), `${base}arms: { a: {}, b: { loss.beta: 0.3 } }\n`);
  const over = (text: string) => parseStudy(`extends: under.yaml\n${text}`, join(folder, 'over.yaml'));
  const study = over('stages: { pairs: { label: { flip: 0.25 } } }\nmeasure: { every: 1 }\narms: { a: null, c: {} }\n');
  expect(study.stages.pairs?.label).toMatchObject({ score: 'afinn - length', flip: 0.25 });
  expect(study.measure).toMatchObject({ every: 1, prompts: 'held-out.jsonl' });
  expect(Object.keys(study.arms)).toEqual(['b', 'c']);
  expect(study.place(['arms', 'b', 'loss.beta'])).toBe(`${join(folder, 'under.yaml')}:12:32`);
  expect(() => over('arms: { d: { base: x } }\n')).toThrow('over.yaml:2:20');
  rmSync(folder, { recursive: true });
});
