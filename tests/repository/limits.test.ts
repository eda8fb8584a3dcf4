import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

const lines = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n').length;

/** Upper limits by path, most particular first; generated files are exempt. */
const limits: [RegExp, number][] = [
  [/packages\/reanchor\/src\/losses\/(?!methods)[^/]+(?<!\.test)\.ts$/, 60],
  [/packages\/reanchor\/src\/reference\/update-rule\.ts$/, 60],
  [/packages\/reanchor\/src\/train\/trainer\.ts$/, 150],
  [/packages\/reanchor\/src\/models\/[^/]+\/model\.ts$/, 350],
  [/./, 500],
];

test('files fit in the head', () => {
  const files = ['packages', 'tests', 'bench', 'scripts'].flatMap((folder) => sourceFiles(folder));
  const tooLong = files
    .filter((file) => !file.endsWith('.gen.ts'))
    .map((file) => ({
      file: relative(repositoryRoot, file),
      length: lines(file),
      limit: limits.find(([path]) => path.test(file))![1],
    }))
    .filter(({ length, limit }) => length > limit)
    .map(({ file, length, limit }) => `${file}: ${length} lines, ${limit} are allowed`);
  expect(tooLong).toEqual([]);
});

test('comments have at most 120 columns', () => {
  const tooLong = ['packages', 'tests', 'bench', 'scripts']
    .flatMap((folder) => sourceFiles(folder))
    .filter((file) => !file.endsWith('.gen.ts'))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, i) =>
          line.length > 120 && /^\s*(\/\/|\/\*|\* |#)/.test(line) ? `${relative(repositoryRoot, file)}:${i + 1}` : [],
        ),
    );
  expect(tooLong).toEqual([]);
});

test('direct dependencies run on Node 20.19 and production packages stay few', () => {
  const lock = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<
      string,
      { dev?: boolean; optional?: boolean; devOptional?: boolean; link?: boolean; engines?: { node?: string } }
    >;
  };
  const production = Object.entries(lock.packages).filter(
    ([path, info]) =>
      path.startsWith('node_modules/') && !info.dev && !info.optional && !info.devOptional && !info.link,
  );
  expect(production.length).toBeLessThanOrEqual(14);
  const needNewer = production.filter(([, info]) =>
    /(>=|\^)\s*2[1-9]/.test(info.engines?.node?.split('||').at(0) ?? ''),
  );
  expect(needNewer.map(([path]) => path)).toEqual([]);
});
