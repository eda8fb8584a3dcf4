import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.js';
import { recipeKey, recipeKeys } from '../recipe/index.js';
import { documentation } from '../version.js';
import { explainVerb, pages } from './explain.js';
import { schemaText, schemaVerb } from './schema.js';
import { Terminal } from './terminal.js';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** A terminal, and the lines of its results and notes. */
function recorder() {
  const written = { results: '', notes: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.results += text) },
    stderr: { write: (text) => (written.notes += text) },
    env: {},
  });
  return { terminal, written };
}

function explained(key?: string, json = false): string {
  const { terminal, written } = recorder();
  explainVerb(key, { json }, terminal);
  return written.results;
}

describe('explain', () => {
  it.each(['recipes/dpo.yaml', 'dpo.yml', 'dpo.json'])('says of the file %s what reads it', (file) => {
    expect(() => explained(file)).toThrow(
      new UsageError(
        `${file} is a file; explain takes a key, such as reference.alpha. To see what a recipe comes to, without a run: npx reanchor estimate ${file}`,
      ),
    );
  });

  it('says of a key what is allowed, what holds without it, what it means and where more is said', () => {
    expect(explained('loss.beta').split('\n')).toEqual([
      'loss.beta: the strength of the pull towards the reference; a reward is beta times a log-ratio in nats',
      '  allowed  number > 0',
      '  default  0.1',
      '  refused  it is an option of method dpo, ipo, kto, kto-pair and has no effect here: remove this key',
      `  more     ${documentation('reference/methods.md')}`,
      `  more     ${documentation('reference/recipe.md')}`,
      '',
    ]);
    expect(explained('reference.alpha')).toMatch(
      / {2}default {2}none: it is required there\n {2}with +update: soft \| mixed\n/,
    );
  });

  it('lists the keys of a section, and without a key those of a recipe', () => {
    const lines = explained('batch').trimEnd().split('\n');
    expect(lines[0]).toBe('batch: the rows of a step and how they are laid out');
    expect(lines.slice(-3).map((line) => line.split(' ')[0])).toEqual([
      'batch.size',
      'batch.tokensPerMicroBatch',
      'batch.rowsPerMicroBatch',
    ]);
    const listed = explained().trimEnd().split('\n');
    expect(listed.map((line) => line.split(' ')[0])).toEqual(
      recipeKeys().flatMap(({ path }) => (path.includes('.') ? [] : [path])),
    );
  });

  it('knows every key of a recipe, and gives all of it as JSON', () => {
    for (const { path, description, isSection } of recipeKeys()) {
      expect(explained(path)).toContain(`${path}: ${description}`);
      const one = JSON.parse(explained(path, true));
      expect(isSection ? one[0] : one).toMatchObject({ ...recipeKey(path), docs: expect.any(Array) });
    }
    expect(JSON.parse(explained(undefined, true))).toHaveLength(listed());
  });
  const listed = () => recipeKeys().filter(({ path }) => !path.includes('.')).length;

  it.each([
    ['loss.betta', 'loss.betta: unknown key; did you mean loss.beta?'],
    ['refrence', 'refrence: unknown key; did you mean reference?'],
    ['alpha', 'alpha: unknown key; name its section: adapter.alpha or reference.alpha'],
    ['loss.beta.x', 'loss.beta.x: unknown key; did you mean loss.beta?'],
  ])('of %s says which key is near', (key, message) => {
    expect(() => explained(key)).toThrow(new UsageError(message));
  });

  it('names pages and headings that are there', () => {
    for (const [path, page] of Object.entries(pages)) {
      expect(recipeKey(path), path).toBeDefined();
      const [file, heading] = page.split('#');
      expect(existsSync(join(repository, 'docs', file!)), page).toBe(true);
      const headings = [...readFileSync(join(repository, 'docs', file!), 'utf8').matchAll(/^#+ (.*)$/gm)].map(
        ([, text]) =>
          text!
            .toLowerCase()
            .replace(/[^\p{L}\p{N} -]/gu, '')
            .replaceAll(' ', '-'),
      );
      if (heading) expect(headings, page).toContain(heading);
    }
  });
});

describe('schema', () => {
  it('is printed, or written into a file that can be named on top of a recipe', async () => {
    const { terminal, written } = recorder();
    await schemaVerb('recipe', {}, terminal);
    expect(written.results).toBe(await schemaText('recipe'));
    const out = join(mkdtempSync(join(tmpdir(), 'schema-')), 'study.schema.json');
    await schemaVerb('study', { out }, terminal);
    expect(JSON.parse(readFileSync(out, 'utf8')).title).toMatch(/^A study/);
    expect(written.notes).toContain(`wrote ${out}: name it on top of a file, # yaml-language-server: $schema=PATH`);
  });

  it('of another kind says which there are', async () => {
    await expect(schemaText('recipes')).rejects.toThrow(
      new UsageError('"recipes" has no schema: did you mean recipe?'),
    );
    await expect(schemaText('run')).rejects.toThrow('"run" has no schema: recipe, recipe-part, study, study-part have');
  });
});
