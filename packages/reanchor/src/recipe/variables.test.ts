// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseRecipe } from './parse.js';
import { concealing, recipeHere, textHere } from './variables.js';

const folder = mkdtempSync(join(tmpdir(), 'variables-'));
mkdirSync(join(folder, 'data/rows'), { recursive: true });
writeFileSync(join(folder, 'template.jinja'), '');
afterAll(() => rmSync(folder, { recursive: true }));
const env = { DATA: folder, NAME: 'data', SECRET: 's3cr3t-value', OWNER: 'owner', EMPTY: '' };
const parse = (text: string) => parseRecipe(text, { file: 'r.yaml', env });

describe('a recipe on this machine', () => {
  it('has the paths that its variables stand for, in every key that names some', () => {
    const text =
      'model: ${DATA}/data\nmethod: dpo\nreference: { update: fixed, model: "${DATA}" }\n' +
      'data: { train: ["${DATA}/a", { source: "${DATA}/${NAME}/b", weight: 2 }, c], validation: ["${DATA}/v:test"], chatTemplate: "${DATA}/template.jinja" }';
    const recipe = parse(text);
    expect(recipeHere(recipe, { env })).toEqual({
      ...recipe,
      model: join(folder, 'data'),
      reference: { update: 'fixed', model: folder },
      data: {
        ...recipe.data,
        train: [join(folder, 'a'), { source: join(folder, 'data/b'), weight: 2 }, 'c'],
        validation: [join(folder, 'v:test')],
        chatTemplate: join(folder, 'template.jinja'),
      },
    });
    expect(recipe.model).toBe('${DATA}/data');
  });

  it('is the same recipe where it names no variable; what only looks like one in a template is none', () => {
    const recipe = parse('model: m\nmethod: dpo\ndata: { train: a }');
    expect(recipeHere(recipe, { env: {} })).toEqual(recipe);
    expect(textHere('data.chatTemplate', "{{ 'x' }} ${SECRET}", env)).toBe("{{ 'x' }} ${SECRET}");
  });

  it.each([
    ['model', '${SECRET}'],
    ['model', 'owner/${SECRET}'],
    ['model', '${OWNER}/name'],
    ['reference.model', '${DATA}/${SECRET}/model'],
    ['data.train', '${SECRET}/rows.jsonl'],
    ['data.validation', 'owner/name@${SECRET}'],
    ['data.chatTemplate', '${SECRET}.jinja'],
    ['log.mlflow', '${SECRET}'],
  ])(
    'refuses what stands for nothing here, which may be a secret, and shows the variable alone: %s: %s',
    (key, text) => {
      const attempt = () => textHere(key, text, env);
      expect(attempt).toThrow(`${key}: ${text}`);
      expect(attempt).not.toThrow(/s3cr3t/);
      expect(attempt).toThrow(/there is no file or folder .* on this machine|no http or https address/);
    },
  );

  it.each([
    ['${UNSET}/x', /model: \$\{UNSET\} is not set in the environment/],
    ['${EMPTY}/x', /model: \$\{EMPTY\} is empty/],
  ])('refuses a variable that is not set: %s', (text, message) => {
    expect(() => textHere('model', text, env)).toThrow(message);
  });

  it('shows the beginning of a text without end', () => {
    const attempt = () => textHere('model', `\${SECRET}${'x'.repeat(50_000)}`, env);
    expect(attempt).toThrow(
      /^model: \$\{SECRET\}x+\.\.\.: there is no file or folder \$\{SECRET\}x+\.\.\. on this machine.{0,200}$/,
    );
  });

  it('leaves such texts as they are where nothing needs to be there', () => {
    const recipe = parse('model: ${SECRET}\nmethod: dpo\ndata: { train: "${DATA}/a" }');
    const here = recipeHere(recipe, { env, missing: 'stay' });
    expect([here.model, here.data.train]).toEqual(['${SECRET}', join(folder, 'a')]);
  });

  it('names no repository of the Hub, whatever a variable stands for', () => {
    const path = relative('.', join(folder, 'data'));
    expect(textHere('model', '${X}', { X: path })).toBe(path);
    expect(textHere('model', '${X}/model', { X: 'packages' })).toBe('./packages/model');
  });

  it.each([
    ['https://mlflow.example:5000/base', true],
    ['http://me:s3cr3t@host', false],
    ['https://host/?token=s3cr3t', false],
    ['file:///s3cr3t', false],
    ['http://', false],
  ])('has the address that a variable stands for, if it is one without secrets: %s', (address, isGood) => {
    if (isGood) expect(textHere('log.mlflow', '${X}', { X: address })).toBe(address);
    else
      expect(() => textHere('log.mlflow', '${X}', { X: address })).toThrow(/^log\.mlflow: \$\{X\} stands for no http/);
  });
});

describe('messages', () => {
  const recipe = { model: '${DATA}/m', data: { train: ['${B}/x', 'y'] }, log: { mlflow: '${URL}' } };

  it('show variables in the place of paths, in the ways that paths are written', () => {
    const conceal = concealing(recipe, { DATA: './data/sets/', B: '/b/../private', URL: 'https://flow.example:5000' });
    expect(conceal('./data/sets/m and data/sets/x.jsonl:3 and "/private/x"')).toBe(
      '${DATA}/m and ${DATA}/x.jsonl:3 and "${B}/x"',
    );
    expect(conceal(`in ${join(process.cwd(), 'data/sets')}`)).toBe('in ${DATA}');
    expect(conceal('getaddrinfo ENOTFOUND flow.example')).toBe('getaddrinfo ENOTFOUND ${URL}');
    expect(conceal('POST https://flow.example:5000/api')).toBe('POST ${URL}/api');
    expect(conceal('the proxy http://me:pw@host')).toBe('the proxy http://[hidden]@host');
  });

  it('do not have words exchanged that are short and no paths, nor variables that a recipe does not name', () => {
    const conceal = concealing(recipe, { DATA: 'data', B: '/', OTHER: 'elsewhere', URL: undefined });
    const text = `data.train: elsewhere/data has no rows`;
    expect(conceal(text)).toBe(text);
    expect(concealing(recipe, { DATA: '/dat' })('/dat/x')).toBe('${DATA}/x');
  });

  it('have the longest value exchanged where one begins with another', () => {
    const conceal = concealing(recipe, { DATA: folder, B: join(folder, 'data') });
    expect(conceal(`${folder}/data/x ${folder}/y ${basename(folder)}`)).toBe(`\${B}/x \${DATA}/y ${basename(folder)}`);
  });
});
