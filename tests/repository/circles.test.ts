import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

/** The one circle: tensors are made by operators, which are declared in terms of tensors and their devices. */
const known = [
  ...['base', 'device', 'native', 'op', 'ops.gen', 'tensor'].map((name) => `packages/torch/src/${name}.ts`),
];

/** The files that a file imports, for types too; not what it loads when it is run, by `import()`. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?:[^;]*? from )?'(\.[^']*)';$/gm)]
    .map(([, name]) => resolve(dirname(file), name!).replace(/\.js$/, ''))
    .flatMap((path) => [`${path}.ts`, `${path}.tsx`].filter((name) => existsSync(name)));
}

/** The files of circles, and of ways between them: what is left once those at either end of a way are taken off. */
function filesInCircles(imports: Map<string, string[]>): string[] {
  const left = new Map(imports);
  for (;;) {
    const imported = new Set([...left.values()].flat());
    const ends = [...left].filter(([file, names]) => !imported.has(file) || !names.some((name) => left.has(name)));
    if (ends.length === 0) return [...left.keys()];
    for (const [file] of ends) left.delete(file);
  }
}

test('no files import each other in a circle, for types neither', () => {
  const files = ['packages', 'tests', 'bench', 'scripts'].flatMap((folder) => sourceFiles(folder));
  const imports = new Map(files.filter((file) => /\.tsx?$/.test(file)).map((file) => [file, importsOf(file)]));
  const found = filesInCircles(imports).map((file) => relative(repositoryRoot, file));
  expect(found.sort()).toEqual(known);
});
