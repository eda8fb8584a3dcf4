// Every number of the study comes from the results in recipes/study/results, by the commands that its page names.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { withOutputs } from '../support/printed-commands.js';
import { repositoryRoot } from '../support/repository.js';

const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'study-'));
afterAll(() => {
  process.chdir(here);
  rmSync(folder, { recursive: true });
});
const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');

test('the tables and figures of the study are what its commands give', async () => {
  const document = read('docs/log/study.md');
  symlinkSync(join(repositoryRoot, 'recipes'), join(folder, 'recipes'));
  mkdirSync(join(folder, 'docs/images'), { recursive: true });
  process.chdir(folder);
  expect(await withOutputs(document)).toBe(document);
  const figures = readdirSync('docs/images');
  expect(figures.length).toBeGreaterThan(0);
  for (const figure of figures) {
    expect(readFileSync(join('docs/images', figure), 'utf8'), figure).toBe(read(`docs/images/${figure}`));
    expect(document).toContain(`(../images/${figure})`);
  }
});
