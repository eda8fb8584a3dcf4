// The JSON Schemas that editors check recipes and studies by, beside the readers of these files.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, it, test } from 'vitest';
import { schemaKinds, schemaText } from '../cli/schema.js';
import { recipeKeys } from './keys.js';
import { parseRecipe } from './parse.js';
import { parseYaml } from './yaml.js';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const schemas = join(repository, 'packages/reanchor/schemas');

// A date is held by a pattern beside its format.
const ajv = new Ajv({ allErrors: true, validateFormats: false, allowUnionTypes: true });
const validators = new Map<string, ValidateFunction>();
for (const kind of schemaKinds) validators.set(kind, ajv.compile(JSON.parse(await schemaText(kind))));

/** Whether the schema of a kind takes a YAML text. */
const takes = (text: string, kind = 'recipe') => validators.get(kind)!(parseYaml(text).value) as boolean;

function isRead(text: string): boolean {
  try {
    parseRecipe(text, { file: 'r.yaml', env: {} });
    return true;
  } catch {
    return false;
  }
}

const head = 'model: m\nmethod: dpo\n';
const whole = `${head}data: { train: pairs.jsonl }\n`;

test('the build writes the schema of each kind of file, where the first line of a recipe says', () => {
  const manifest = readFileSync(join(repository, 'packages/reanchor/package.json'), 'utf8');
  expect(JSON.parse(manifest).scripts.schemas).toContain(`for kind in ${schemaKinds.join(' ')};`);
});

describe('every recipe and study of the repository', () => {
  const files = readdirSync(join(repository, 'recipes'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.yaml'),
  );

  it('names its schema on top, and keeps to it', () => {
    expect(files.length).toBeGreaterThan(80);
    const kinds = new Set<string>();
    for (const name of files) {
      const file = join(repository, 'recipes', name);
      const text = readFileSync(file, 'utf8');
      const path = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text)?.[1];
      expect(path, name).toBeDefined();
      const [, kind] = /^(.*)\.schema\.json$/.exec(relative(schemas, join(dirname(file), path!))) ?? [];
      const valid = validators.get(kind!)!;
      expect(valid(parseYaml(text).value), `${name}: ${ajv.errorsText(valid.errors)}`).toBe(true);
      kinds.add(kind!);
    }
    expect([...kinds].sort()).toEqual([...schemaKinds].sort());
  });
});

describe('the schema of a recipe', () => {
  it.each([
    ['a whole recipe', whole],
    ['a variable in a path', `${head}data: { train: "\${DATA}/a.jsonl" }\n`],
    ['an address', `${whole}log: { mlflow: "http://here:5000", experiment: e }\n`],
    ['a date', `model: m\nmethod: dpo\ndata: { train: p, date: 2026-11-28 }\n`],
    ['each update', `${whole}reference: { update: mixed, alpha: 0.6, tau: 512 }\n`],
    ['lists', `${whole}loss: { type: [sigmoid, sft], weights: [1, 0.1] }\noptimizer: { betas: [0.9, 0.95] }\n`],
    ['a time', `${whole}checkpoint: { every: 15min }\n`],
  ])('takes %s, as the reader does', (_, text) => {
    expect(takes(text), ajv.errorsText(validators.get('recipe')!.errors)).toBe(true);
    expect(isRead(text.replaceAll(`\${DATA}`, 'data'))).toBe(true);
  });

  it.each([
    ['an unknown key', `${whole}max_length: 3\n`],
    ['an unknown key of a section', `${whole}optimizer: { learningRate: 1e-6 }\n`],
    ['an unknown key of a source', `${head}data: { train: [{ source: a, weight: 1, split: b }] }\n`],
    ['a key of another update', `${whole}reference: { update: soft, alpha: 0.6, tau: 5 }\n`],
    ['an update without its alpha', `${whole}reference: { update: soft }\n`],
    ['an unknown update', `${whole}reference: { update: sotf, alpha: 0.6 }\n`],
    ['a value that is too large', `${whole}reference: { update: soft, alpha: 1.5 }\n`],
    ['an unknown choice', `${whole}precision: fp8\n`],
    ['text for a number', `${whole}optimizer: { lr: fast }\n`],
    ['one number of two', `${whole}optimizer: { betas: [0.9] }\n`],
    ['an empty value', `${whole}loss:\n`],
    ['a recipe without rows', head],
    ['a recipe without a method', 'model: m\ndata: { train: p }\n'],
    ['a time without its unit', `${whole}checkpoint: { every: 15m }\n`],
    ['a list', '- model: m\n'],
  ])('refuses %s, as the reader does', (_, text) => {
    expect(takes(text)).toBe(false);
    expect(isRead(text)).toBe(false);
  });

  it('lets pass what only rules between keys refuse: it knows one key at a time', () => {
    for (const text of [
      `${whole}steps: 5\nepochs: 2\n`,
      `${whole}evaluate: { every: 5 }\n`,
      `${whole}quantize: nf4\n`,
    ]) {
      expect(takes(text), text).toBe(true);
      expect(isRead(text), text).toBe(false);
    }
  });

  it('asks nothing of a recipe that extends another one but known keys and right values', () => {
    expect(takes('extends: base.yaml\nreference: { maxDivergence: 0.2 }\nsteps: null\n')).toBe(true);
    expect(takes('extends: base.yaml\nreference: { maxDivergenc: 0.2 }\n')).toBe(false);
    expect(takes('extends: base.yaml\nseed: -1\n')).toBe(false);
    expect(takes('steps: 5\n', 'recipe-part')).toBe(true);
    expect(takes('stepz: 5\n', 'recipe-part')).toBe(false);
  });

  it('has every key with the words of the documentation', async () => {
    const schema = JSON.parse(await schemaText('recipe'));
    const described = new Map<string, string>();
    const visit = (at: Record<string, unknown>, path: string[]) => {
      if (path.length > 0 && typeof at.description === 'string') described.set(path.join('.'), at.description);
      for (const [name, inner] of Object.entries((at.properties ?? {}) as Record<string, Record<string, unknown>>))
        visit(inner, [...path, name]);
      for (const form of (at.oneOf ?? []) as Record<string, unknown>[]) visit({ ...form, description: null }, path);
    };
    visit(schema.else, []);
    expect(Object.fromEntries(described)).toEqual(
      Object.fromEntries(recipeKeys().map(({ path, description }) => [path, description])),
    );
  });
});

describe('the schema of a study', () => {
  const study = (arms: string) =>
    `base: { model: m, method: dpo, data: { train: p } }\nmeasure: { every: 5, prompts: p, scores: { gold: afinn } }\narms: ${arms}\n`;

  it('takes keys of a recipe with dots, and lists of their values', () => {
    expect(
      takes(
        study('{ dpo: { loss.beta: [0.1, 0.2] }, hard: { base: dpo, reference: { update: hard, tau: 3 } } }'),
        'study',
      ),
    ).toBe(true);
  });

  it.each([
    ['an unknown key of an arm', study('{ dpo: { loss.betta: 0.1 } }')],
    ['an unknown key of the base', study('{ dpo: {} }').replace('method', 'metod')],
    ['an unknown key', `${study('{ dpo: {} }')}arm: {}\n`],
    ['no arms', study('{ dpo: {} }').replace(/arms: .*/, '')],
  ])('refuses %s', (_, text) => {
    expect(takes(text, 'study')).toBe(false);
  });
});
